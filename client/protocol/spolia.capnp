@0x8d68103707ada3c1;
# The protocol between Spolia's clients and spoliad, over Cap'n Proto RPC (two-party) on TCP or a
# unix socket. This file is its document; numbers named "limit" stand in client/protocol/limits.h and
# are enforced by the server whatever a client does.
#
# Absence is data: a call about an id that is not there succeeds and says so. Exceptions are for
# calls that cannot be answered; their text begins with "spolia error N: " where N is an ErrorCode
# of codec/base/result.h (client/protocol/errors.h is the only place that writes and reads it).
#
# Every call is idempotent (ids are contents, values are replaced by name), so a client whose
# connection breaks reconnects and asks again. The restart epoch tells it that the server is another
# process, which knows nothing of capabilities handed out before.
#
# Evolution: methods and fields are appended, never renumbered; a server that lacks a method answers
# UNIMPLEMENTED and a field that is not set has its default. Planned and not here yet: passing of
# memory by file descriptor.
#
# Time. Entries expire by the store's clock: seconds since 1970 as far as the server's wall clock
# is right, and never going back. Who wants something to live for a while says how long (ttlSeconds),
# counted from when it is stored; the server's operator may set a default and a longest time.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("spolia::protocol");

# SHA-256 over the canonical encoding of codec/FORMAT.md: exactly 32 bytes, anything else is
# invalid_argument.
using Id = Data;

interface Spolia {
  # What a connection offers at first. Dropping it ends nothing that was had through it.

  authenticate @0 (token :Text, model :ModelHello, protocolVersion :UInt32)
      -> (session :Session, epoch :UInt64, protocolVersion :UInt32, rights :UInt32,
          tenant :Text, serverVersion :Text);
  # Gives the session of the tenant to whom the token belongs; without a token file on the server
  # the token is not looked at and everybody is tenant "default" with all rights.
  #   token     limit kMaxTokenBytes. Unknown: permission_denied, and the connection is closed after
  #             kMaxAuthFailures of them.
  #   model     which model's chunks the session is for; left out (null) by sessions that only
  #             handle values, and by administrators. A new name is registered, which needs
  #             `write`; an equal descriptor is accepted; a different one is refused with
  #             invalid_argument naming the fields that differ.
  #   protocolVersion  the caller's; a server that cannot serve it answers unsupported.
  #   epoch     never the same for two runs of a server. rights: bits, see Rights.
  # Waits for: the model's registration on disk when it is new. A connection that has not
  # authenticated within the handshake time is closed.
}

struct ModelHello {
  # Names are per tenant: 1 to kMaxModelName characters out of A-Z a-z 0-9 . _ - / @ :
  name @0 :Text;
  # Digests of 32 bytes, or empty for a part the model lacks.
  weights @1 :Data;
  adapter @2 :Data;
  config @3 :Data;
  tokenizer @4 :Data;
  rope @5 :Data;
  numerics @6 :Text;  # "f32", "f16", "int8"
}

struct Rights {
  # Bits of Spolia.authenticate's `rights`.
  const read :UInt32 = 1;   # lookup, open, fetch, getValue, list, stats, ping
  const write :UInt32 = 2;  # store, putValue, remove, registration of models
  const admin :UInt32 = 4;  # chunks without naming a model; the server's counters in stats
}

interface Session {
  # One tenant's view of the store, for one model or none. The capability is the isolation: what
  # another tenant holds can be neither read nor detected through it. Dropping it cancels nothing
  # that is under way on objects had through it (Writer), and frees what the server keeps for it.
  #
  # A chunk whose header names another fingerprint than the session's model is refused with
  # invalid_argument. A session without a model handles chunks only with the right `admin`.
  # Limits: kMaxCallsInFlight calls at a time on a connection (more: resource_exhausted).

  lookup @0 (ids :List(Id), willFetch :Bool) -> (entries :List(LookupAnswer), prefix :UInt32);
  # One answer per id, in order, from the index alone: nothing is read from the medium. `prefix` is
  # how many of the first ids are all there. Limit: kMaxLookupIds ids.
  #   willFetch  a hint that what is there will be fetched, in this order: the server begins to read
  #              it into its memory, as far as it has room there.

  open @1 (id :Id) -> (found :Bool, header :Data);
  # The stream's header as stored (codec/FORMAT.md), for chunks. Waits for one read.

  fetch @2 (specs :List(FetchSpec), sink :FetchSink, deadlineMs :UInt32) -> ();
  # Frames of chunks, streamed to `sink` in the order of `specs`; reads run ahead of it. Returns when
  # the last part has been sent. Every spec is answered by at least one part: frames, absence, or a
  # failure of that spec alone. deadlineMs (0: none): specs not read by then are answered with
  # deadline_exceeded. Dropping the call, or a sink that fails, ends the reading.
  # Limits: kMaxFetchSpecs specs; parts of kSliceBytes at most; a peer that takes no bytes for the
  # server's stall time is disconnected.

  store @3 (size :UInt64, mode :PutMode, ttlSeconds :UInt64) -> (writer :Writer);
  # Takes a whole stream of `size` bytes (limit kMaxStreamBytes). Needs `write`. May wait until the
  # bytes fit into what the server allows in flight. See Writer.
  #   ttlSeconds  how long it lives from when it is stored, 0 for the server's default. When the same
  #               bytes are there already, whatever the mode, they live on to the later of both ends.

  putValue @4 (id :Id, kind :EntryKind, label :Text, size :UInt64, mode :PutMode,
               expiresAt :UInt64, ttlSeconds :UInt64) -> (writer :Writer);
  # As store, for manifests, profiles and opaque values (kind chunk or embedding is
  # invalid_argument). The bytes are not looked at. label: limit kMaxLabelBytes, listed by `list`.
  # ttlSeconds: as for store. expiresAt: store clock seconds, where ttlSeconds is 0. Needs `write`.

  getValue @5 (id :Id, sink :FetchSink, deadlineMs :UInt32) -> ();
  # The payload of an entry of any kind as stored (a chunk: its whole stream), in parts to `sink`
  # as fetch does for spec 0, deadlineMs as there.

  remove @6 (id :Id) -> (found :Bool);
  # Gone, durably, when this returns. Needs `write`.

  list @7 (kind :EntryKind, cursor :Data, limit :UInt32) -> (entries :List(EntryInfo), next :Data);
  # Entries of one kind, at most `limit` (0 or more than kMaxListEntries: that). `cursor` is empty at
  # first, then the former `next`; an empty `next` is the end. Entries that come or go meanwhile may
  # or may not be seen; all others are seen once.

  stats @8 () -> (stats :Stats);
  # Location, capacity, free space and what the tenant itself takes for everyone; the counters, which
  # cover all tenants, with `admin` and else zero.

  ping @9 () -> (epoch :UInt64);
  # Waits for nothing but the event loop.

  lease @10 (ids :List(Id), ttlMs :UInt32)
      -> (lease :Lease, entries :List(LookupAnswer), prefix :UInt32, ttlMs :UInt32);
  # As lookup, and what is found stays until the lease ends: it is not evicted and does not expire.
  # Removing or replacing it (also by damage) is not held up; what comes under its id then stays
  # likewise. The lease ends when its capability is dropped, with the connection, with the server's
  # process, and after the returned ttlMs, which is at most what was asked for. Limits: kMaxLookupIds
  # ids; entries held by this connection and by this tenant, and their bytes (resource_exhausted).
  # Fetching through the promised Lease makes lookup, lease and fetch one round trip.

  removeAll @11 (kind :EntryKind) -> (removed :UInt64);
  # All entries of one kind, or of every kind (none). What was there when the call came is gone,
  # durably, when it returns; what is put meanwhile may stay. A call that fails or is dropped has
  # removed some; calling again goes on. Needs `write`.

  salted @12 (salt :Data) -> (session :Session);
  # The same tenant's entries under a salt: apart from those of this session and of other salts,
  # which can be neither read nor detected through it, and whose removeAll and list do not reach
  # them. Equal salts give the same entries, now and later. Rights and model are this session's; the
  # space counts for the tenant. Limit: 1 to kMaxSaltBytes bytes.
}

interface Lease {
  # See Session.lease. Dropping it ends it.

  fetch @0 (specs :List(FetchSpec), sink :FetchSink, deadlineMs :UInt32) -> ();
  # As Session.fetch, of any ids.

  renew @1 (ttlMs :UInt32) -> (ttlMs :UInt32);
  # Lasts so long from now on, or as long as the server allows, which is returned. A lease that has
  # ended is not_found.
}

interface FetchSink {
  # Implemented by the client; the server calls it in order. A call that fails ends the fetch.

  part @0 (part :FetchPart) -> stream;
  # A spec's first part carries `answer`, its last one says `last`; small answers are one part that
  # is both. Parts of one spec follow each other without others between them.

  done @1 () -> ();
  # After the last part of the last spec. Lets the server know that all of them were taken.
}

struct FetchSpec {
  id @0 :Id;
  layerBegin @1 :UInt32;
  layerEnd @2 :UInt32 = 0xffffffff;  # clipped to the chunk, like tokenEnd and maxLevel
  tokenBegin @3 :UInt32;
  tokenEnd @4 :UInt32 = 0xffffffff;
  maxLevel @5 :UInt8 = 255;
  knownHeader @6 :UInt64;
  # Tag (see FetchAnswer.headerTag) of the header that the client has, 0 for none. The header is
  # sent when the stream there has another one, so that frames are never read by a stale table.
}

struct FetchPart {
  spec @0 :UInt32;           # index into the call's specs
  answer @1 :FetchAnswer;    # first part only
  data @2 :Data;             # goes behind what came before
  last @3 :Bool;
}

struct FetchAnswer {
  union {
    absent @0 :Void;
    failed @1 :Failure;      # corrupt entries among them: a miss, never bytes
    found @2 :Void;
  }
  totalBytes @3 :UInt64;     # of all this spec's data
  frames @4 :List(Frame);    # fetch: what the data holds, in order, without gaps
  header @5 :Data;           # fetch: when knownHeader is not this stream's tag
  headerTag @6 :UInt64;      # XXH3-64 over the frame table's checksums and the stream's length
  tier @7 :UInt8;            # codec::Tier: where the bytes came from
  bytesRead @8 :UInt64;      # from that tier's medium, blocks and headers included
  info @9 :EntryInfo;        # getValue
}

struct Frame {
  index @0 :UInt32;          # into the header's frame table
  size @1 :UInt32;
}

interface Writer {
  # Dropping it before commit discards everything; so does the server when nothing comes for its
  # stall time (deadline_exceeded).

  write @0 (data :Data) -> stream;
  # The next bytes. More than the declared size is invalid_argument. A chunk's header is checked as
  # soon as it is complete: broken, or another model's fingerprint, and this and later calls fail.

  commit @1 () -> (outcome :PutOutcome, info :EntryInfo);
  # All bytes are there: the server verifies a chunk whole (id recomputed from the header, frame
  # table and every checksum: corrupt or invalid_argument otherwise), stores it, and answers when it
  # is durable. `exists`: the first bytes stay and `info` tells what they are; a put of other bytes
  # under an existing id is counted. Once only.
}

enum PutMode {
  ifAbsent @0;
  ifFiner @1;    # replaces when the new stream has a finer preset or more levels
  replace @2;
}

enum PutOutcome {
  stored @0;
  exists @1;
  replaced @2;
}

enum EntryKind {
  none @0;
  chunk @1;
  embedding @2;
  profile @3;
  manifest @4;
  opaque @5;
}

struct EntryInfo {
  id @0 :Id;
  kind @1 :EntryKind;
  bytes @2 :UInt64;      # payload as stored
  tokens @3 :UInt32;     # chunks
  preset @4 :UInt8;      # chunks: codec::Preset
  levels @5 :UInt8;      # chunks
  label @6 :Text;
  expiresAt @7 :UInt64;  # store clock seconds, 0 for never
}

struct LookupAnswer {
  union {
    absent @0 :Void;
    found @1 :EntryInfo;
    failed @2 :Failure;  # the index could not tell; treat as absent
  }
}

struct Failure {
  code @0 :UInt16;       # ErrorCode
  message @1 :Text;
}

struct Stats {
  location @0 :Text;
  entries @1 :UInt64;
  usedBytes @2 :UInt64;
  capacityBytes @3 :UInt64;
  freeDiskBytes @4 :UInt64;
  hits @5 :UInt64;
  misses @6 :UInt64;
  corruptBlocks @7 :UInt64;
  differingPuts @8 :UInt64;
  bytesRead @9 :UInt64;
  bytesWritten @10 :UInt64;
  ioBackend @11 :Text;
  connections @12 :UInt32;
  uptimeSeconds @13 :UInt64;
  # The memory above the disk; a capacity of 0: there is none.
  memoryCapacityBytes @14 :UInt64;
  memoryUsedBytes @15 :UInt64;      # bookkeeping included
  memoryHits @16 :UInt64;           # of `hits`, those served from memory alone
  memoryServedBytes @17 :UInt64;    # in those
  memoryAdmittedBytes @18 :UInt64;  # taken in because asked for again
  memoryAheadBytes @19 :UInt64;     # taken in before they were asked for
  memoryEvictedBytes @20 :UInt64;   # given up for others
  readOnly @21 :Text;               # why nothing is written now; empty: it is
  indexBytes @22 :UInt64;           # files of the disk tier's index
  evicted @23 :UInt64;              # entries given up for others
  cleanedSegments @24 :UInt64;      # emptied to be written again
  movedBytes @25 :UInt64;           # written again for that
  scrubbedEntries @26 :UInt64;      # read in search of damage
  expired @27 :UInt64;              # entries whose time was over
  leased @28 :UInt64;               # entries that leases hold now
  capacity @29 :List(CapacityPoint);  # ascending; empty before anything was asked for
  tenants @30 :List(TenantUsage);     # the session's own; with `admin` all
  ioMissing @31 :Text;              # what the I/O does without, and why; empty: nothing
  lateReads @32 :UInt64;            # given up at their deadline
}

struct CapacityPoint {
  # What a store of such a capacity would have had of what was asked for lately, estimated from a
  # sample: shares from 0 to 1.
  capacityBytes @0 :UInt64;
  hitShare @1 :Float64;     # of the entries asked for
  savedShare @2 :Float64;   # of the time that computing them takes
}

struct TenantUsage {
  tenant @0 :Text;          # empty: entries of a tenant that the server does not know
  entries @1 :UInt64;
  usedBytes @2 :UInt64;
  quotaBytes @3 :UInt64;    # 0: none
  evicted @4 :UInt64;       # entries given up for others, since the server was started
}
