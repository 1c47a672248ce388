// Finds what a launch is started with, prepares for reference programs, and replaces this process.
// SPDX-License-Identifier: MIT
#include "harness/measure/start.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>
#include <system_error>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/names.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/user_inputs.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

/// The process that this launch was started for: `noisefloor launch` becomes another at most once.
constexpr const char* kStartedVariable = "NOISEFLOOR_STARTED";
constexpr std::string_view kMpiProgram = "noisefloor-mpi";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

/// The path of a program: `name` itself if it holds a slash, else the first in PATH; empty if there is none.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? fs::absolute(name).string() : std::string();
  const std::string path = variable("PATH");
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t end = std::min(path.find(':', from), path.size());
    const fs::path candidate = fs::path(path.substr(from, end - from)) / name;
    if (is_program(candidate)) return fs::absolute(candidate).string();
    from = end + 1;
  }
  return {};
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> result;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find(' ', from), text.size());
    if (end > from) result.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return result;
}

fs::path own_program() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error(fmt::format("cannot find this program's own file: /proc/self/exe: {}", error.message()));
  return path;
}

// --- OpenMP ---

LaunchStart start_openmp(const LaunchOptions& options) {
  LaunchStart start;
  const Cell& cell = options.cell;
  if (cell.runtime == "libomp" && openmp_runtime() != cell.runtime) {
    const std::string library = find_libomp();
    if (library.empty()) {
      start.skipped =
          "LLVM's OpenMP runtime, libomp.so.5, is not found: install it (Debian: libomp5, a package that clang's "
          "libomp-dev brings), or name it in NOISEFLOOR_LIBOMP";
      return start;
    }
    const std::string others = variable("LD_PRELOAD");
    start.environment.emplace_back("LD_PRELOAD", others.empty() ? library : library + ":" + others);
  }
  if (!cell.wait_policy.empty() && variable("OMP_WAIT_POLICY") != cell.wait_policy) {
    start.environment.emplace_back("OMP_WAIT_POLICY", cell.wait_policy);
  }
  if (start.environment.empty()) return start;
  start.command = launch_arguments(options);
  start.command.insert(start.command.begin(), own_program().string());
  return start;
}

// --- MPI ---

std::string mpi_program() {
  const fs::path path = own_program().parent_path() / kMpiProgram;
  return is_program(path) ? path.string() : std::string();
}

/// The words that start ranks: $NOISEFLOOR_MPIRUN (say, "srun --mpi=pmix" or "mpirun --hostfile hosts"), else mpirun.
std::vector<std::string> mpirun() {
  std::vector<std::string> command = words(variable("NOISEFLOOR_MPIRUN"));
  if (command.empty()) command.emplace_back("mpirun");
  return command;
}

std::string missing_mpi() {
  if (mpi_program().empty()) {
    return fmt::format("{} is not beside this program: it is built where Open MPI is found (Debian: libopenmpi-dev)",
                       kMpiProgram);
  }
  const std::string starter = mpirun().front();
  if (find_program(starter).empty()) {
    return fmt::format(
        "{} is not found: install Open MPI (Debian: openmpi-bin), or name what starts ranks in "
        "NOISEFLOOR_MPIRUN",
        starter);
  }
  return {};
}

using Setting = std::pair<const char*, const char*>;

/// What Open MPI has to be told here, as long as the user says nothing else.
constexpr std::array<Setting, 9> kMpiEnvironment{{
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},  // it refuses root, who is all there is in many containers,
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},      // more ranks than CPUs,
    {"OMPI_MCA_hwloc_base_binding_policy", "none"},  // and binds ranks although nobody asked for it
    {"OMPI_MCA_btl_base_warn_component_unused", "0"},
    {"OMPI_MCA_opal_warn_on_missing_libcuda", "0"},
    {"OMPI_MCA_orte_base_help_aggregate", "1"},
    {"OMPI_MCA_odls_base_sigkill_timeout", "0"},  // ranks end with SIGTERM: mpirun need not wait a second for more
    {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},  // the same to Open MPI 5
}};

/// The same where all ranks are on this machine: they look for no network.
constexpr std::array<Setting, 4> kOneMachine{{
    {"OMPI_MCA_pml", "ob1"},
    {"OMPI_MCA_btl", "self,vader"},
    {"OMPI_MCA_osc", "sm"},
    {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},  // containers forbid it, and messages are small
}};

/// Whether ranks may go to other machines: the user says how they are started, or a batch system says where.
bool may_leave_this_machine() {
  constexpr std::array kSays{"NOISEFLOOR_MPIRUN", "SLURM_JOB_ID", "PBS_JOBID",
                             "LSB_JOBID",         "PE_HOSTFILE",  "OMPI_MCA_orte_default_hostfile"};
  return std::any_of(kSays.begin(), kSays.end(), [](const char* name) { return !variable(name).empty(); });
}

LaunchStart start_mpi(const LaunchOptions& options, const Strategy& strategy) {
  LaunchStart start;
  start.skipped = strategy.refuse(strategy_options(options.cell, strategy));
  if (start.skipped.empty()) start.skipped = missing_mpi();
  if (!start.skipped.empty()) return start;
  start.command = mpirun();
  start.command.front() = find_program(start.command.front());
  start.command.insert(start.command.end(), {"-n", std::to_string(options.cell.workers), mpi_program()});
  for (std::string& argument : launch_arguments(options)) start.command.push_back(std::move(argument));
  const auto set = [&](const Setting& setting) {
    if (std::getenv(setting.first) == nullptr) start.environment.emplace_back(setting.first, setting.second);
  };
  std::for_each(kMpiEnvironment.begin(), kMpiEnvironment.end(), set);
  if (!may_leave_this_machine()) {
    std::for_each(kOneMachine.begin(), kOneMachine.end(), set);
    // A rank that waits gives its CPU to one that works.
    if (options.cell.workers > available_workers()) set({"OMPI_MCA_mpi_yield_when_idle", "1"});
  }
  return start;
}

// --- Reference programs ---

/// The folder of reference programs: in the source tree that holds this program (…/build/<preset>/noisefloor), or in
/// <prefix>/share/noisefloor. Empty if there is none.
fs::path reference_folder() {
  const fs::path folder = own_program().parent_path();
  std::error_code ignored;
  for (const fs::path& place :
       {folder.parent_path().parent_path() / "scripts", folder.parent_path() / "share" / "noisefloor"}) {
    if (fs::is_regular_file(place / "reference" / "protocol.py", ignored)) return place / "reference";
  }
  return {};
}

/// Python interpreters in the order in which scripts/find_python tries them; which of them has the modules, the
/// program itself finds out.
std::vector<std::string> pythons() {
  std::vector<std::string> found;
  for (const std::string& name :
       {variable("NOISEFLOOR_PYTHON"), std::string("python3"), std::string("/usr/bin/python3")}) {
    if (name.empty()) continue;
    const std::string path = find_program(name);
    if (!path.empty() && std::find(found.begin(), found.end(), path) == found.end()) found.push_back(path);
  }
  return found;
}

/// The output of a command, without its last line break; empty if it fails.
std::string output_of(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::vector<std::string> texts = command;
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, command.front().c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {};
  write_end.reset();
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// A Python file is given to an interpreter, anything else is started by itself.
std::vector<std::string> reference_command(const Strategy& strategy, const std::string& python) {
  const std::string program = (reference_folder() / strategy.reference.program).string();
  if (program.ends_with(".py")) return {python, "-B", program};
  return {program};
}

/// What the program of a reference strategy says that it lacks; asked once for each program.
std::string ask_what_is_missing(const Strategy& strategy) {
  const fs::path folder = reference_folder();
  if (folder.empty()) return "the reference programs are not beside this program: install it whole (make install)";
  std::string answer;
  for (const std::string& python : pythons()) {
    answer = output_of(
        {python, "-B", (folder / strategy.reference.program).string(), "--missing", std::string(strategy.name)});
    if (answer == "nothing") return {};
  }
  if (!answer.empty()) return answer;
  return "no Python 3.11 or newer is found: install it (Debian: python3), or name it in NOISEFLOOR_PYTHON";
}

std::string missing_reference(const Strategy& strategy) {
  static std::map<std::string_view, std::string> answers;
  const auto known = answers.find(strategy.reference.program);
  if (known != answers.end()) return known->second;
  return answers.emplace(strategy.reference.program, ask_what_is_missing(strategy)).first->second;
}

std::string refuse_reference(const Cell& cell, const Strategy& strategy) {
  const Reference& reference = strategy.reference;
  if (!knows(reference, cell.workload)) {
    return fmt::format("{} does not know the workload {}: choose one of: {}", strategy.name, cell.workload,
                       reference.workloads);
  }
  if (!cell.work.inputs.empty() && cell.work.command.empty()) {
    return fmt::format("{} runs over test signals only: leave inputs out", strategy.name);
  }
  if (cell.delivery != reference.delivery) {
    return fmt::format("{} has one delivery only: give delivery {}", strategy.name, reference.delivery);
  }
  if (!cell.format.empty() && cell.format != "int16" && cell.format != "float32") {
    return fmt::format("{} knows the formats int16 and float32 only: give one of them", strategy.name);
  }
  if (!cell.output_mode.empty() && cell.output_mode != "new") {
    return fmt::format("{} writes new files only: give output_mode new", strategy.name);
  }
  return strategy.refuse(strategy_options(cell, strategy));
}

LaunchStart start_reference(LaunchOptions options, const Strategy& strategy) {
  LaunchStart start;
  options.expected_digest.reset();  // its noise is its own
  const Cell& cell = options.cell;
  start.skipped = refuse_reference(cell, strategy);
  if (!start.skipped.empty()) return start;
  const fs::path folder = reference_folder();
  const std::vector<std::string> candidates = pythons();
  if (folder.empty() || candidates.empty()) {
    start.skipped = missing_reference(strategy);
    return start;
  }
  start.command = reference_command(strategy, candidates.front());
  for (std::string& argument : launch_arguments(options)) start.command.push_back(std::move(argument));
  const auto add = [&](const char* name, std::string value) {
    start.command.emplace_back(name);
    start.command.push_back(std::move(value));
  };
  add("--program", own_program().string());
  add("--header", csv_header());
  add("--row", csv_line(row_of(cell, options.seed)));
  add("--least-ns", std::to_string(kLeastRepetitionNs));
  add("--amplitude", fmt::format("{}", kBenchmarkAmplitude));
  if (select_workload(cell.workload).uses_files) {
    const std::vector<std::string> signals = test_signals(cell.tasks, cell.task_size, cell.format);
    add("--signals", signals.front().substr(0, signals.front().rfind('/')));
    add("--output", output_folder_to_leave());
  }
  if (!cell.work.command.empty()) {
    const std::string output = output_folder_to_leave();
    add("--output", output);
    std::vector<std::string> inputs = user_inputs(split_words(cell.work.inputs));
    inputs.resize(std::min<std::size_t>(inputs.size(), cell.tasks));
    std::ofstream list(output + "/inputs", std::ios::binary);
    for (const std::string& input : inputs) list.write(input.c_str(), static_cast<std::streamsize>(input.size() + 1));
    if (!list.flush()) throw system_error("the inputs cannot be listed in " + output, errno);
    add("--inputs", output + "/inputs");
  }
  // Its modules may be missing in the first one: it then asks the next.
  start.environment.emplace_back("NOISEFLOOR_PYTHONS", fmt::format("{}", fmt::join(candidates, ":")));
  return start;
}

}  // namespace

std::vector<std::string> launch_arguments(const LaunchOptions& options) {
  std::vector<std::string> arguments = {"launch",
                                        "--protocol",
                                        std::to_string(kLaunchProtocol),
                                        "--cell",
                                        format_cell(options.cell),
                                        "--iterations",
                                        std::to_string(options.iterations),
                                        "--repetitions",
                                        std::to_string(options.repetitions),
                                        "--warmups",
                                        std::to_string(options.warmups),
                                        "--seed",
                                        std::to_string(options.seed)};
  if (options.expected_digest) {
    arguments.emplace_back("--expect");
    arguments.push_back(fmt::format("{:016x}", *options.expected_digest));
  }
  return arguments;
}

std::string find_libomp() {
  std::vector<std::string> names;
  if (const std::string given = variable("NOISEFLOOR_LIBOMP"); !given.empty()) {
    names.push_back(fs::absolute(given).string());
  } else {
    names.emplace_back("libomp.so.5");  // where the dynamic linker looks; then where Debian's versions lie
    for (int version = 19; version >= 14; --version) {
      names.push_back(fmt::format("/usr/lib/llvm-{}/lib/libomp.so.5", version));
    }
  }
  // Loaded once to see that it can be: a file for another machine is none.
  for (const std::string& name : names) {
    void* const library = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) continue;
    const void* const symbol = ::dlsym(library, "__kmpc_global_thread_num");
    Dl_info info{};
    const bool found = symbol != nullptr && ::dladdr(symbol, &info) != 0 && info.dli_fname != nullptr;
    std::string path = found ? info.dli_fname : "";
    ::dlclose(library);
    if (!path.empty()) return path;
  }
  return {};
}

std::string missing_here(const Strategy& strategy) {
  if (!strategy.unavailable.empty()) return std::string(strategy.unavailable);
  switch (strategy.start) {
    case Start::mpi:
      return missing_mpi();
    case Start::reference:
      return missing_reference(strategy);
    case Start::here:
    case Start::openmp:
      break;
  }
  return {};
}

LaunchStart how_to_start(const LaunchOptions& asked) {
  LaunchOptions options = asked;
  options.cell = resolved(asked.cell);
  check_cell(options.cell);
  LaunchStart start;
  if (!options.cell.pitfall.empty()) return start;  // it has no strategy
  const Strategy& strategy = find_by_name(strategies(), options.cell.strategy, "strategy");
  if (strategy.start == Start::here) return start;
  if (variable(kStartedVariable) == std::to_string(::getpid())) return start;
  switch (strategy.start) {
    case Start::openmp:
      start = start_openmp(options);
      break;
    case Start::mpi:
      start = start_mpi(options, strategy);
      break;
    case Start::reference:
      start = start_reference(options, strategy);
      break;
    case Start::here:
      break;
  }
  return start;
}

void become(const LaunchStart& start) {
  for (const auto& [name, value] : start.environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::setenv(kStartedVariable, std::to_string(::getpid()).c_str(), 1);
  std::vector<std::string> texts = start.command;
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  ::execv(arguments.front(), arguments.data());
  throw system_error(fmt::format("cannot start {}", start.command.front()), errno);
}

}  // namespace noisefloor
