// Places in a conversation that is rendered: what stands there, the template sees as one character
// that templates neither strip nor change. A place is found again by its origin, which no message
// can have. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/jinja/marked_text.h"

namespace spolia::engine {

// Where the documents that come with a request stand. Places from 1 on are of texts in messages.
inline constexpr size_t kDocumentsPlace = 0;
inline constexpr size_t kMostPlaces = 4096;

// Appends place `place`, below kMostPlaces.
void appendPlace(jinja::MarkedText& text, size_t place);

struct PlacedPart {
  std::optional<size_t> place;
  jinja::MarkedText text;  // where it is no place; not empty
};

// Places and what stands between them, in order. The documents stand once: further places of
// theirs, of a message that is written twice, are left out.
std::vector<PlacedPart> partsOf(const jinja::MarkedText& text);

bool hasPlace(const jinja::MarkedText& text, size_t place);

// The bytes of these parts with texts[i - 1] at place i; that of the documents stays as it is.
std::string filled(const jinja::MarkedText& text, std::span<const std::string> texts);

}  // namespace spolia::engine
