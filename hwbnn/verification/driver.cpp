// Drives one Verilated core through its AXI4-Stream border and records what crosses it and what
// every tap carries, as raw little-endian files that Python reads. Nothing is judged here except
// the rule of every valid/ready stream: what is offered stays, unchanged, until it is taken.
//
// bench.h is generated for the core: its class, the sizes of its border, its taps and its FIFOs.

#include "bench.h"

#include <verilated.h>
#if VM_TRACE_FST
#include <verilated_fst_c.h>
#endif

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tokens are copied from memory as is");

namespace {

using Bytes = std::vector<unsigned char>;
using Options = std::map<std::string, std::string>;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "driver: %s\n", what.c_str());
  std::exit(3);
}

struct File {
  std::FILE* handle;
  File(const std::string& path, const char* mode) : handle(std::fopen(path.c_str(), mode)) {
    if (!handle) fail("cannot open " + path);
    std::setvbuf(handle, nullptr, _IOFBF, 1 << 16);
  }
  File(const File&) = delete;
  ~File() {
    if (std::fclose(handle) != 0) fail("cannot write a file: is the disk full?");
  }
  void write(const void* data, size_t n) {
    if (std::fwrite(data, 1, n, handle) != n) fail("cannot write a file: is the disk full?");
  }
};

Bytes read_file(const std::string& path) {
  File file(path, "rb");
  Bytes all;
  unsigned char block[4096];
  size_t n;
  while ((n = std::fread(block, 1, sizeof block, file.handle)) > 0)
    all.insert(all.end(), block, block + n);
  return all;
}

// Breaches of the stream rule, the first few in words.
struct Faults {
  uint64_t count = 0;
  std::string text;
  void add(const char* stream, const char* what, uint64_t cycle) {
    if (count++ < 8)
      text += std::string(stream) + ": " + what + " in cycle " + std::to_string(cycle) + "\n";
  }
};

// Records the transfers of one stream. `extra` is kept beside the data (tlast and tkeep).
class Recorder {
 public:
  Recorder(const char* name, size_t bytes, uint64_t expected, const std::string& folder)
      : name_(name), expected_(expected), held_(bytes), file_(folder + "/" + name + ".bin", "wb") {}

  // Whether a transfer took place, of those that are expected.
  bool sample(bool valid, bool ready, const void* data, uint64_t cycle, Faults& faults) {
    if (waiting_) {
      if (!valid) faults.add(name_, "valid fell before ready", cycle);
      else if (std::memcmp(data, held_.data(), held_.size()) != 0)
        faults.add(name_, "data changed before ready", cycle);
    }
    waiting_ = valid && !ready;
    if (waiting_) std::memcpy(held_.data(), data, held_.size());
    if (!valid || !ready || count_++ >= expected_) return false;
    file_.write(data, held_.size());
    return true;
  }

  uint64_t count() const { return count_; }
  uint64_t expected() const { return expected_; }
  const char* name() const { return name_; }

 private:
  const char* name_;
  uint64_t expected_;
  uint64_t count_ = 0;
  bool waiting_ = false;
  Bytes held_;
  File file_;
};

constexpr size_t kKeepBytes = (kInputBytes + 7) / 8;

// A cyclic pattern of cycles in which one side of the border is willing; empty means always.
struct Pattern {
  Bytes bits;
  bool at(uint64_t cycle) const { return bits.empty() || bits[cycle % bits.size()] != 0; }
};

// The beats to send, and for each its tlast and tkeep, and whether it begins a frame.
class Source {
 public:
  explicit Source(const Options& options)
      : beats_(options.at("folder") + "/beats.bin", "rb"),
        last_(read_file(options.at("folder") + "/last.bin")),
        first_(read_file(options.at("folder") + "/first.bin")),
        keep_(read_file(options.at("folder") + "/keep.bin")) {}

  void rewind() {
    std::rewind(beats_.handle);
    next_ = 0;
    offered = false;
  }

  // Offer the next beat if there is one; it stays until taken.
  void offer(Core& core, bool willing) {
    if (!offered && willing && next_ < last_.size()) {
      if (std::fread(beat_, 1, kInputBytes, beats_.handle) != kInputBytes) fail("beats end early");
      offered = true;
    }
    core.s_axis_tvalid = offered;
    core.s_axis_tlast = offered ? last_[next_] : 1;
    // While nothing is offered the data is nonsense, which the core must not use.
    for (size_t i = 0; i < kInputBytes; ++i) scratch_[i] = offered ? beat_[i] : 0xA5 ^ beat_[i];
    std::memcpy(&core.s_axis_tdata, scratch_, kInputBytes);
    if (offered) std::memcpy(&core.s_axis_tkeep, &keep_[next_ * kKeepBytes], kKeepBytes);
  }

  // The offered beat was taken; whether it began a frame.
  bool taken() {
    const bool first = first_[next_++];
    offered = false;
    return first;
  }

  bool offered = false;

 private:
  File beats_;
  Bytes last_, first_, keep_;
  uint64_t next_ = 0;
  unsigned char beat_[kInputBytes] = {};
  unsigned char scratch_[kInputBytes] = {};
};

class Bench {
 public:
  Bench(VerilatedContext& context, const Options& options)
      : context_(context), core_(&context), source_(options),
        source_pattern_{read_file(options.at("folder") + "/source.bin")},
        sink_pattern_{read_file(options.at("folder") + "/sink.bin")} {
#if VM_TRACE_FST
    if (options.count("wave")) {
      context_.traceEverOn(true);
      core_.trace(&wave_, 99);
      wave_.open(options.at("wave").c_str());
      waving_ = true;
    }
#endif
  }
  ~Bench() {
    core_.final();
#if VM_TRACE_FST
    if (waving_) wave_.close();
#endif
  }

  bool stopped() const { return context_.gotFinish(); }
  const Core& core() const { return core_; }

  void reset(int cycles) {
    core_.aresetn = 0;
    core_.m_axis_tready = 0;
    for (int i = 0; i < cycles; ++i) {
      source_.rewind();
      source_.offer(core_, false);
      clock(0);
      clock(1);
    }
    core_.aresetn = 1;
    // Cycles are counted from the first in which a core may take a beat, the second after reset.
    clock(0);
    clock(1);
    cycle_ = 0;
  }

  // One cycle up to its rising edge: `sample` sees the settled signals.
  template <typename Sample>
  void cycle(Sample sample) {
    source_.offer(core_, source_pattern_.at(cycle_));
    core_.m_axis_tready = sink_pattern_.at(cycle_);
    clock(0);
    const bool taken = core_.s_axis_tvalid && core_.s_axis_tready;
    sample(core_, cycle_, taken && source_.taken(), taken);
    clock(1);
    ++cycle_;
  }

 private:
  void clock(int level) {
    core_.aclk = level;
    core_.eval();
#if VM_TRACE_FST
    if (waving_) wave_.dump(context_.time());
#endif
    context_.timeInc(1);
  }

  VerilatedContext& context_;
  Core core_;
  Source source_;
  Pattern source_pattern_, sink_pattern_;
  uint64_t cycle_ = 0;
#if VM_TRACE_FST
  VerilatedFstC wave_;
  bool waving_ = false;
#endif
};

// The recorded run: until every output frame has left, then `drain` cycles more, or until
// nothing has moved for `limit` cycles.
class Run {
 public:
  Run(const Options& options)
      : frames_(std::stoull(options.at("frames"))), limit_(std::stoull(options.at("limit"))),
        drain_(std::stoull(options.at("drain"))), folder_(options.at("folder")),
        output_("m_axis", kOutputBytes, frames_ * kOutputBeats, folder_),
        keep_(folder_ + "/m_axis_tkeep.bin", "wb"), last_(folder_ + "/m_axis_tlast.bin", "wb"),
        starts_(folder_ + "/starts.bin", "wb"), ends_(folder_ + "/ends.bin", "wb") {
#define TAP(name, bytes, tokens) \
  taps_.push_back(std::make_unique<Recorder>("tap_" #name, bytes, frames_ * tokens, folder_));
    HWBNN_TAPS(TAP)
#undef TAP
  }

  void go(Bench& bench) {
    // A failed assertion has been printed and ends the run.
    while (quiet_ < limit_ && drained_ < drain_ && !bench.stopped())
      bench.cycle([this](Core& core, uint64_t cycle, bool first, bool taken) {
        sample(core, cycle, first, taken);
      });
#define FIFO(name) most_.emplace_back(#name, bench.core().most_##name);
    HWBNN_FIFOS(FIFO)
#undef FIFO
  }

  void write_result() const {
    File file(folder_ + "/result.txt", "w");
    std::fprintf(file.handle, "cycles %llu\n", static_cast<unsigned long long>(cycles_));
    std::fprintf(file.handle, "error %lld %llu\n", static_cast<long long>(error_),
                 static_cast<unsigned long long>(errors_));
    count(file, output_);
    for (const auto& tap : taps_) count(file, *tap);
    for (const auto& fifo : most_)
      std::fprintf(file.handle, "most %s %u\n", fifo.first, fifo.second);
    std::fprintf(file.handle, "faults %llu\n%s", static_cast<unsigned long long>(faults_.count),
                 faults_.text.c_str());
  }

 private:
  static void count(File& file, const Recorder& recorder) {
    std::fprintf(file.handle, "tokens %s %llu\n", recorder.name(),
                 static_cast<unsigned long long>(recorder.count()));
  }

  void sample(Core& core, uint64_t cycle, bool first, bool taken) {
    bool moved = taken;
    if (first) starts_.write(&cycle, sizeof cycle);
    size_t i = 0;
#define TAP(name, bytes, tokens)                                                               \
  moved |= taps_[i++]->sample(core.tap_##name##_valid, core.tap_##name##_ready,                \
                              &core.tap_##name##_data, cycle, faults_);
    HWBNN_TAPS(TAP)
#undef TAP
    const bool full = output_.count() >= output_.expected();
    if (output_.sample(core.m_axis_tvalid, core.m_axis_tready, &core.m_axis_tdata, cycle,
                       faults_)) {
      moved = true;
      output_beat(core, cycle);
    }
    if (core.error_o && errors_++ == 0) error_ = static_cast<int64_t>(cycle);
    if (full) ++drained_;
    quiet_ = moved ? 0 : quiet_ + 1;
    cycles_ = cycle + 1;
  }

  void output_beat(Core& core, uint64_t cycle) {
    const unsigned char last = core.m_axis_tlast;
    last_.write(&last, 1);
    keep_.write(&core.m_axis_tkeep, (kOutputBytes + 7) / 8);
    if (output_.count() % kOutputBeats) return;
    ends_.write(&cycle, sizeof cycle);
    const uint64_t frames = output_.count() / kOutputBeats;
    if (frames * 100 / frames_ == (frames - 1) * 100 / frames_) return;
    std::printf("%llu\n", static_cast<unsigned long long>(frames));
    std::fflush(stdout);
  }

  uint64_t frames_, limit_, drain_, quiet_ = 0, drained_ = 0, cycles_ = 0;
  int64_t error_ = -1;   // cycle in which error_o was first high
  uint64_t errors_ = 0;  // cycles in which it was
  std::string folder_;
  Recorder output_;
  File keep_, last_, starts_, ends_;
  std::vector<std::unique_ptr<Recorder>> taps_;
  std::vector<std::pair<const char*, unsigned>> most_;  // words that each FIFO held at most
  Faults faults_;
};

}  // namespace

int main(int argc, char** argv) {
  VerilatedContext context;
  context.commandArgs(argc, argv);
  context.fatalOnError(false);
  Options options;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strncmp(argv[i], "--", 2) == 0) options[argv[i] + 2] = argv[i + 1];
  Bench bench(context, options);
  bench.reset(8);
  // A first part that a reset cuts off in the middle: nothing of it may be left behind.
  const uint64_t cut = std::stoull(options.at("cut"));
  if (cut) {
    for (uint64_t i = 0; i < cut; ++i) bench.cycle([](Core&, uint64_t, bool, bool) {});
    bench.reset(1);  // in a longer one, what a pipeline holds would run out unseen
  }
  Run run(options);
  run.go(bench);
  run.write_result();
  return 0;
}
