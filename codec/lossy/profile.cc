#include "codec/lossy/profile.h"

#include <algorithm>
#include <cmath>

#include "codec/lossy/pseudo_inverse.h"

namespace spolia::codec {
namespace {

// Where planes begin, in channels counted through all planes, and where the last one ends.
std::vector<uint32_t> planeBounds(const std::vector<LayerShape>& layers) {
  std::vector<uint32_t> out{0};
  for (size_t plane = 0; plane < 2 * layers.size(); ++plane) {
    out.push_back(out.back() + layers[plane / 2].channels());
  }
  return out;
}

// Panels of a block, none across the end of a plane.
std::vector<Profile::Panel> panelsWithin(const ProfileBlock& block,
                                         const std::vector<uint32_t>& planes) {
  std::vector<Profile::Panel> out;
  auto end = std::upper_bound(planes.begin(), planes.end(), block.begin);
  for (uint32_t at = block.begin; at < block.end; at += out.back().width) {
    if (at == *end) ++end;
    const auto plane = static_cast<uint32_t>(end - planes.begin() - 1);
    const uint32_t width = std::min({kPanelChannels, *end - at, block.end - at});
    out.push_back({plane, at - planes[plane], at - block.begin, width});
  }
  return out;
}

Profile::Block prepared(const ProfileBlock& block, const std::vector<uint32_t>& planes) {
  Profile::Block out;
  out.data = &block;
  out.panels = panelsWithin(block, planes);
  std::vector<uint32_t> widths;
  for (const Profile::Panel& panel : out.panels) widths.push_back(panel.width);
  out.maps = panelsOf(block.maps, block.channels(), widths);
  out.components = panelsOf(block.components, block.channels(), widths);
  if (std::any_of(block.shifts.begin(), block.shifts.end(), [](uint8_t s) { return s != 0; })) {
    for (uint8_t shift : block.shifts) out.powers.push_back(static_cast<int16_t>(1 << shift));
  }
  for (float s : block.scale) out.inverse.push_back(1 / s);
  out.lazy = std::make_unique<Profile::Block::Lazy>();
  return out;
}

}  // namespace

Profile::Profile(ProfileData data, const Sha256Digest& id) : data_(std::move(data)), id_(id) {
  for (uint8_t shift : data_.codeShifts) codePowers_.push_back(static_cast<int16_t>(1 << shift));
  const std::vector<uint32_t> planes = planeBounds(data_.layers);
  for (const ProfileTransform& transform : data_.transforms) {
    transforms_.push_back({&transform, {}, PreparedTables(transform.tables)});
    for (const ProfileBlock& block : transform.blocks) {
      transforms_.back().blocks.push_back(prepared(block, planes));
    }
  }
}

const Profile::Transform* Profile::transform(uint8_t preset) const {
  for (const Transform& transform : transforms_) {
    if (transform.data->preset == preset) return &transform;
  }
  return nullptr;
}

void Profile::codeOf(uint32_t token, uint32_t count, int16_t* to) const {
  const size_t rank = data_.codeRank;
  if ((size_t{token} + 1) * rank > data_.codes.size()) {
    std::fill_n(to, count, int16_t{0});
    return;
  }
  const int8_t* code = data_.codes.data() + token * rank;
  for (uint32_t i = 0; i < count; ++i) to[i] = static_cast<int16_t>(code[i] * codePowers_[i]);
}

const float* Profile::Block::analysis() const {
  std::call_once(lazy->once, [this] {
    std::vector<float> rows(data->components.size());
    for (uint32_t j = 0; j < data->componentCount(); ++j) {
      const float scale = std::ldexp(data->componentScale, data->shifts[j]);
      for (size_t i = size_t{j} * data->channels(); i < size_t{j + 1} * data->channels(); ++i) {
        rows[i] = scale * static_cast<float>(data->components[i]);
      }
    }
    const std::vector<float> factors =
        leastSquaresFactors(rows, data->componentCount(), data->channels());
    lazy->analysis.resize((factors.size() + 15) / 16 + 1);  // with kProjectPadding
    std::copy(factors.begin(), factors.end(), lazy->analysis.front().floats);
  });
  return lazy->analysis.front().floats;
}

namespace {

PanelRows panelRows(const std::vector<RowBytes>& rows, size_t count, const Profile::Panel& panel) {
  const size_t quads = (count + kQuad - 1) / kQuad;
  if (quads == 0) return {};
  return {rows.front().bytes + panel.channel * quads * kQuad, static_cast<uint32_t>(quads)};
}

}  // namespace

PanelRows Profile::Block::mapRows(const Panel& panel) const {
  return panelRows(maps, data->maps.size() / data->channels(), panel);
}

PanelRows Profile::Block::componentRows(const Panel& panel) const {
  return panelRows(components, data->componentCount(), panel);
}

}  // namespace spolia::codec