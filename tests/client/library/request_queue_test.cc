#include "client/library/request_queue.h"

#include <gtest/gtest.h>

#include "client/library/kv_order.h"

namespace spolia::client {
namespace {

TEST(PendingRequest, CancelledWhileComputingCompletesOnceWithWhatTheComputationGave) {
  auto queue = RequestQueue::open();
  ASSERT_TRUE(queue.ok());
  const auto table = std::make_shared<RequestTable>();
  const auto request = PendingRequest::start(*queue, table, 42);
  ASSERT_TRUE(request->begin());
  request->cancel();
  spolia_result result{};
  EXPECT_EQ((*queue)->take({&result, 1}, 0), 0u) << "its memory is still in use";
  request->pay(resultOf(Status()));
  request->pay(resultOf({ErrorCode::kInternal, "twice"}));
  ASSERT_EQ((*queue)->take({&result, 1}, 0), 1u);
  EXPECT_EQ(result.code, SPOLIA_OK);
  EXPECT_EQ(result.cookie, 42u);
  EXPECT_EQ((*queue)->take({&result, 1}, 0), 0u);
  EXPECT_EQ(table->find(request->ticket()), nullptr);
}

TEST(PendingRequest, CancelledWhileComputingDoesNotGoOn) {
  auto queue = RequestQueue::open();
  ASSERT_TRUE(queue.ok());
  const auto request = PendingRequest::start(*queue, std::make_shared<RequestTable>(), 1);
  ASSERT_TRUE(request->begin());
  request->cancel();
  EXPECT_FALSE(request->rest());
  spolia_result result{};
  ASSERT_EQ((*queue)->take({&result, 1}, 0), 1u);
  EXPECT_EQ(result.code, SPOLIA_ERROR_CANCELLED);
  EXPECT_FALSE(request->begin());
}

}  // namespace
}  // namespace spolia::client
