#include "bench/policy/variants.h"

#include <cstdio>

namespace spolia::bench {
namespace {

using store::GdsfCost;

std::string text(double number) {
  char out[32];
  std::snprintf(out, sizeof out, "%g", number);
  return out;
}

std::string nameOf(Order order) {
  return order == Order::kHeadFirst ? "head first" : "tail first";
}

void addS3Fifo(std::vector<Variant>& out, Order order) {
  for (const double share : {0.05, 0.1, 0.25, 0.5}) {
    for (const uint8_t uses : {1, 2}) {
      Variant variant{
          "s3-fifo", nameOf(order) + ", small " + text(share) + ", uses " + text(uses), order, {}};
      variant.params.s3Fifo = {share, uses};
      out.push_back(variant);
    }
  }
}

void addGdsf(std::vector<Variant>& out, Order order) {
  const std::pair<const char*, GdsfCost> costs[] = {
      {"one", GdsfCost::kOne}, {"bytes", GdsfCost::kBytes}, {"seconds", GdsfCost::kSeconds}};
  for (const auto& [name, cost] : costs) {
    Variant variant{"gdsf", nameOf(order) + ", cost " + name, order, {}};
    variant.params.gdsfCost = cost;
    out.push_back(variant);
  }
}

void addValue(std::vector<Variant>& out, bool smoke) {
  for (const double prior : {100.0, 400.0}) {
    for (const double smoothing : {0.5, 0.0}) {
      Variant variant{"value",
                      std::string("prior ") + text(prior) + ", smoothing " + text(smoothing),
                      Order::kHeadFirst,
                      {}};
      variant.params.value.reuse.priorWeight = prior;
      variant.params.value.reuse.smoothing = smoothing;
      out.push_back(variant);
      if (smoke) return;
    }
  }
}

}  // namespace

std::vector<Variant> variants(bool smoke) {
  std::vector<Variant> out;
  for (const Order order : {Order::kTailFirst, Order::kHeadFirst}) {
    for (const char* plain : {"lru", "arc"}) out.push_back({plain, nameOf(order), order, {}});
    addS3Fifo(out, order);
    addGdsf(out, order);
    if (smoke) break;
  }
  addValue(out, smoke);
  return out;
}

}  // namespace spolia::bench
