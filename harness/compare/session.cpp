// Measures rounds of all cases in turns, and judges them.
// SPDX-License-Identifier: MIT
#include "harness/compare/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor::compare {
namespace {

using std::chrono::nanoseconds;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLeastCpuShare = 0.8;      ///< below it CPU time says little of how long something takes
constexpr std::size_t kMostPadding = 4096;  ///< bytes: a page
constexpr double kKeptForConfirming = 0.3;  ///< of the time that is left after the pilot

double seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

nanoseconds median_of(std::vector<nanoseconds> times) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// A complete round of one case.
struct Round {
  bool confirming;
  std::array<std::vector<double>, kArms> values;  ///< by arm and measure
};

struct Course {
  std::vector<Round> rounds = {};
  std::vector<nanoseconds> times = {};  ///< of complete rounds
  std::vector<double> cpu_shares = {};
  std::vector<std::array<std::uint8_t, kArms>> orders = {};  ///< of the rounds to come, balanced
  PlannedRounds plan = {};
  nanoseconds first{};  ///< what the first launches took
  bool runs = false;    ///< still measured
  bool confirms = false;

  [[nodiscard]] nanoseconds round_time() const { return times.empty() ? first : median_of(times); }
  [[nodiscard]] std::size_t count(bool confirming) const {
    return static_cast<std::size_t>(std::count_if(rounds.begin(), rounds.end(),
                                                  [&](const Round& round) { return round.confirming == confirming; }));
  }
  /// ln(arm / base) of the rounds of one kind.
  [[nodiscard]] std::vector<double> differences(int measure, Arm arm, bool confirming) const {
    std::vector<double> result;
    for (const Round& round : rounds) {
      if (round.confirming != confirming) continue;
      const auto m = static_cast<std::size_t>(measure);
      result.push_back(std::log(round.values[static_cast<std::size_t>(arm)][m] / round.values[0][m]));
    }
    return result;
  }
};

class Measurement {
 public:
  Measurement(Subject& subject, const Options& options, const Surroundings& surroundings)
      : subject_(subject),
        options_(options),
        around_(surroundings),
        rules_(rules_of(options)),
        random_(options.seed),
        start_(surroundings.clock()),
        courses_(subject.cases().size()) {
    for (const Case& one : subject.cases()) {
      session_.results.emplace_back();
      session_.results.back().name = one.name;
    }
  }

  Session run() {
    first_launches();
    for (std::size_t round = 0; round < kPilotRounds && !over_; ++round) {
      one_round("pilot", running(), kPilotRounds - round);
    }
    for (const std::size_t i : running()) choose(i);
    // What the pilot could not know, all rounds of the screen together know better.
    for (int time = 0; time < 2 && !over_; ++time) extend_screen();
    confirm();
    verdicts();
    session_.time = around_.clock() - start_;
    return std::move(session_);
  }

 private:
  [[nodiscard]] nanoseconds left() const { return options_.budget - (around_.clock() - start_); }
  [[nodiscard]] std::vector<std::size_t> running() const {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < courses_.size(); ++i) {
      if (courses_[i].runs) result.push_back(i);
    }
    return result;
  }
  Result& result(std::size_t i) { return session_.results[i]; }
  [[nodiscard]] std::size_t arms() const { return options_.control ? 3 : 2; }

  void leave(std::size_t i, Outcome outcome, std::string reason) {
    courses_[i].runs = false;
    decided_.push_back(i);
    result(i).outcome = outcome;
    result(i).reason = std::move(reason);
  }

  /// False where the case has left, or the session is over.
  bool check(std::size_t i, Arm arm, const Reading& reading) {
    const bool head = arm == Arm::head;
    switch (reading.end) {
      case End::ok:
        return true;
      case End::interrupted:
        over_ = session_.is_interrupted = true;
        return false;
      case End::failed:
        leave(i, head ? Outcome::failed : Outcome::base_failed,
              fmt::format("{}: {}", head ? "new" : "old", reading.message));
        return false;
      case End::skipped:
        leave(i, Outcome::skipped, fmt::format("{}: {}", head ? "new" : "old", reading.message));
        return false;
      case End::absent:
        leave(i, head ? Outcome::removed : Outcome::added, {});
        return false;
      case End::no_time:
        break;
    }
    leave(i, Outcome::inconclusive, fmt::format("{}: {}", head ? "new" : "old", reading.message));
    return false;
  }

  Reading launch(std::string_view phase, std::size_t round, std::size_t i, Arm arm, std::size_t place) {
    Reading reading = subject_.launch(i, arm, random_() % kMostPadding);
    session_.observations.push_back({phase, round, i, arm, place, reading});
    return reading;
  }

  /// One launch of both versions of each case: what fails or is missing is known then, and how long it takes.
  void first_launches() {
    bool common = false;
    for (std::size_t i = 0; i < courses_.size() && !over_; ++i) {
      const Case& one = subject_.cases()[i];
      if (!one.in_base || !one.in_head) {
        leave(i, one.in_base ? Outcome::removed : Outcome::added, {});
        continue;
      }
      common = true;
      if (left() <= nanoseconds(0)) {
        cut_ = true;
        continue;
      }
      if (around_.interrupted()) {
        over_ = session_.is_interrupted = true;
        break;
      }
      const Reading base = launch("first", 0, i, Arm::base, 0);
      if (base.end == End::interrupted) {
        check(i, Arm::base, base);
        break;
      }
      const Reading head = launch("first", 0, i, Arm::head, 1);
      if (head.end == End::interrupted) {
        check(i, Arm::head, head);
        break;
      }
      // What fails in head outweighs what fails in base; neither having it is said once.
      if (base.end == End::absent && head.end == End::absent) {
        leave(i, Outcome::skipped, "is listed by both, and found by neither");
        continue;
      }
      if (head.end == End::failed ? !check(i, Arm::head, head)
                                  : !check(i, Arm::base, base) || !check(i, Arm::head, head)) {
        continue;
      }
      courses_[i].runs = true;
      courses_[i].first = base.duration + head.duration;
      subject_.settle(i);
      for (const Reading* reading : {&base, &head}) {
        const auto beside = reading->duration - reading->measured.value_or(reading->duration);
        if (reading->measured && beside > *reading->measured && beside > std::chrono::milliseconds(100)) {
          result(i).notes.push_back(fmt::format(
              "{:.2f} s of its first launch, which took {:.2f} s, were not measured: set-up costs most of the time",
              seconds(beside), seconds(reading->duration)));
          break;
        }
      }
      compare_outputs(i, base, head);
    }
    if (!common) throw UsageError("the two have nothing in common that could be compared");
  }

  bool compare_outputs(std::size_t i, const Reading& base, const Reading& head) {
    if (!base.output || !head.output || *base.output == *head.output) return true;
    leave(i, Outcome::failed, "the outputs differ");
    return false;
  }

  /// Each arm comes at each place equally often: all orders, shuffled, then all again.
  std::array<std::uint8_t, kArms> next_order(Course& course) {
    if (course.orders.empty()) {
      std::array<std::uint8_t, kArms> order{0, 1, 2};
      do {
        course.orders.push_back(order);
        if (!options_.control) course.orders.push_back({1, 0, 2});
      } while (options_.control && std::next_permutation(order.begin(), order.end()));
      std::shuffle(course.orders.begin(), course.orders.end(), random_);
    }
    const auto order = course.orders.back();
    course.orders.pop_back();
    return order;
  }

  void one_round(std::string_view phase, std::vector<std::size_t> cases, std::size_t rounds_left) {
    std::shuffle(cases.begin(), cases.end(), random_);
    ++round_;
    bool measured = false;
    for (const std::size_t i : cases) {
      Course& course = courses_[i];
      if (around_.interrupted()) {
        over_ = session_.is_interrupted = true;
        return;
      }
      if (course.round_time() > left()) {
        cut_ = true;
        continue;
      }
      measured = true;
      nanoseconds expected{};
      for (const std::size_t other : cases) expected += courses_[other].round_time();
      around_.progress(phase, done_, done_ + rounds_left * cases.size(), expected * static_cast<long>(rounds_left));
      Round round{phase == "confirm", {}};
      std::array<Reading, kArms> readings;
      nanoseconds time{};
      const auto order = next_order(course);
      bool complete = true;
      for (std::size_t place = 0; place < arms() && complete; ++place) {
        const std::size_t arm = order[place];
        readings[arm] = launch(phase, round_, i, static_cast<Arm>(arm), place);
        time += readings[arm].duration;
        complete = check(i, static_cast<Arm>(arm), readings[arm]);
      }
      if (over_) return;
      if (!complete || !compare_outputs(i, readings[0], readings[1])) continue;
      for (std::size_t arm = 0; arm < arms(); ++arm) {
        round.values[arm] = readings[arm].values;
        course.cpu_shares.push_back(readings[arm].cpu_share);
      }
      course.rounds.push_back(std::move(round));
      course.times.push_back(time);
      ++done_;
    }
    if (!measured) over_ = true;
  }

  void choose(std::size_t i) {
    Course& course = courses_[i];
    std::vector<std::vector<double>> sizes;
    const double share = median(course.cpu_shares);
    for (std::size_t m = 0; m < subject_.measures().size(); ++m) {
      sizes.push_back(course.differences(static_cast<int>(m), Arm::head, false));
      const bool cpu = subject_.measures()[m].starts_with("CPU");
      if (cpu && !(share >= kLeastCpuShare)) sizes.back().assign(1, kNan);
    }
    result(i).measure = choose_measure(sizes);
  }

  /// How many cells the screen will probably flag by chance, and one that it should.
  [[nodiscard]] std::size_t expected_flagged() const { return 1 + running().size() / 5; }

  void plan(std::size_t i, std::size_t flagged) {
    Course& course = courses_[i];
    const double sigma = cautious_sigma(course.differences(result(i).measure, Arm::head, false));
    course.plan = plan_rounds(sigma, options_.asked, course.count(false), flagged, rules_);
  }

  /// Plans anew from the sizes of all differences so far, and measures what that asks for: the cheapest first, so that
  /// as many cases as possible can be decided.
  void extend_screen() {
    std::vector<std::pair<nanoseconds, std::size_t>> wanted;
    for (const std::size_t i : running()) {
      if (result(i).measure < 0) continue;
      plan(i, expected_flagged());
      const std::size_t more = courses_[i].plan.screen - courses_[i].count(false);
      if (more > 0) wanted.emplace_back(courses_[i].round_time() * static_cast<long>(more), i);
    }
    std::sort(wanted.begin(), wanted.end());
    auto time = std::chrono::duration_cast<nanoseconds>(left() * (1 - kKeptForConfirming));
    std::vector<std::size_t> cases;
    std::size_t rounds = 0;
    for (const auto& [cost, i] : wanted) {
      if (cost > time) {
        cut_ = true;
        continue;
      }
      time -= cost;
      cases.push_back(i);
      rounds = std::max(rounds, courses_[i].plan.screen - courses_[i].count(false));
    }
    while (!cases.empty() && !over_) {
      one_round("screen", cases, rounds);
      if (rounds > 0) --rounds;
      std::erase_if(cases, [&](std::size_t i) {
        return !courses_[i].runs || courses_[i].count(false) >= courses_[i].plan.screen || rounds == 0;
      });
    }
  }

  /// Of the screen; 0: not flagged. One-sided, in the direction in which it was flagged.
  double flag_p(std::size_t i, Arm arm) {
    const OneSided p = ranks_.test(courses_[i].differences(result(i).measure, arm, false));
    const double least = std::min(p.above, p.below);
    return least < rules_.screen_alpha ? least : 1;
  }

  void confirm() {
    std::vector<std::pair<double, std::size_t>> flagged;
    for (const std::size_t i : running()) {
      if (result(i).measure < 0 || courses_[i].count(false) < kLeastValues) continue;
      double p = flag_p(i, Arm::head);
      if (options_.control) p = std::min(p, flag_p(i, Arm::control));
      if (p < 1) flagged.emplace_back(p, i);
    }
    std::sort(flagged.begin(), flagged.end());
    // The least clear are left out where there is no time for the fewest rounds that could confirm them.
    while (!flagged.empty()) {
      const std::size_t least = least_confirm_rounds(flagged.size(), rules_);
      double wanted = 0;
      double needed = 0;
      for (const auto& [p, i] : flagged) {
        plan(i, flagged.size());
        const double time = seconds(courses_[i].round_time());
        wanted += time * static_cast<double>(courses_[i].plan.confirm);
        needed += time * static_cast<double>(least);
      }
      const double there = std::max(0.0, seconds(left()));
      if (needed > there) {
        flagged.pop_back();
        cut_ = true;
        continue;
      }
      // Evenly, but never below what can confirm.
      const double share = wanted > there ? there / wanted : 1;
      if (share < 1) cut_ = true;
      for (const auto& [p, i] : flagged) {
        std::size_t& rounds = courses_[i].plan.confirm;
        rounds = std::max(least, static_cast<std::size_t>(share * static_cast<double>(rounds)));
      }
      break;
    }
    std::vector<std::size_t> cases;
    std::size_t rounds = 0;
    for (const auto& [p, i] : flagged) {
      cases.push_back(i);
      courses_[i].confirms = true;
      rounds = std::max(rounds, courses_[i].plan.confirm);
    }
    while (!cases.empty() && !over_) {
      one_round("confirm", cases, rounds);
      if (rounds > 0) --rounds;
      std::erase_if(cases, [&](std::size_t i) {
        return !courses_[i].runs || courses_[i].count(true) >= courses_[i].plan.confirm;
      });
    }
  }

  std::vector<Judged> judged(const std::vector<std::size_t>& cases, Arm arm) {
    std::vector<CellRounds> cells;
    for (const std::size_t i : cases) {
      const Course& course = courses_[i];
      cells.push_back({course.differences(result(i).measure, arm, false),
                       course.differences(result(i).measure, arm, true), options_.asked, course.plan.confirm});
    }
    return judge(cells, rules_);
  }

  /// "N rounds, S s would see 5%": what a case needs.
  std::string would_see(std::size_t i) {
    const Course& course = courses_[i];
    const double sigma = result(i).change.sigma;
    double rounds = kNan;
    if (std::isfinite(sigma)) {
      const PlannedRounds plan = plan_rounds(sigma, options_.asked, kPilotRounds, expected_flagged(), rules_);
      rounds = plan.sees ? static_cast<double>(plan.screen + plan.confirm)
                         : std::ceil(rounds_factor(sigma, options_.asked, rules_) *
                                     static_cast<double>(rules_.screen_rounds + rules_.confirm_rounds));
    }
    if (!std::isfinite(rounds))
      return fmt::format("too few rounds to tell how many would see {:g}%", 100 * options_.asked);
    return fmt::format("{:.0f} rounds, {:.0f} s would see {:g}%", rounds,
                       std::ceil(rounds * seconds(course.round_time())), 100 * options_.asked);
  }

  void verdicts() {
    std::vector<std::size_t> cases;
    for (std::size_t i = 0; i < courses_.size(); ++i) {
      Result& its = result(i);
      its.screened = courses_[i].count(false);
      its.confirmed = courses_[i].count(true);
      its.round = courses_[i].round_time();
      its.change = {kNan, kNan, kNan, kNan, std::numeric_limits<double>::infinity(), 1, 1, 0};
      its.base_ns = its.head_ns = kNan;
      if (std::find(decided_.begin(), decided_.end(), i) != decided_.end()) continue;
      if (its.measure < 0) {
        its.outcome = Outcome::inconclusive;
        its.reason = its.screened < kLeastValues
                         ? fmt::format("{} complete rounds are fewer than {}", its.screened, kLeastValues)
                         : "none of its measures has a number in every round";
        continue;
      }
      cases.push_back(i);
    }
    const std::vector<Judged> found = judged(cases, Arm::head);
    for (std::size_t k = 0; k < cases.size(); ++k) record(cases[k], found[k]);
    if (options_.control) judge_control(cases);
    conclude(cases.size());
  }

  void record(std::size_t i, const Judged& found) {
    Result& its = result(i);
    its.change = found.change;
    its.p = found.p;
    its.flagged = found.flagged;
    its.reason = found.reason;
    const bool fresh = found.flagged && its.confirmed > 0;
    its.differences = courses_[i].differences(its.measure, Arm::head, fresh);
    std::array<std::vector<double>, 2> times;
    for (const Round& round : courses_[i].rounds) {
      if (round.confirming != fresh) continue;
      for (std::size_t arm = 0; arm < 2; ++arm)
        times[arm].push_back(round.values[arm][static_cast<std::size_t>(its.measure)]);
    }
    its.base_ns = median(times[0]);
    its.head_ns = median(times[1]);
    switch (found.verdict) {
      case Verdict::ok:
        its.outcome = Outcome::ok;
        break;
      case Verdict::regressed:
        its.outcome = Outcome::regressed;
        break;
      case Verdict::improved:
        its.outcome = Outcome::improved;
        break;
      case Verdict::inconclusive:
        its.outcome = Outcome::inconclusive;
        its.reason += fmt::format("; {}", would_see(i));
        break;
      case Verdict::underpowered:
        its.outcome = Outcome::underpowered;
        its.reason = would_see(i);
        break;
    }
  }

  void judge_control(const std::vector<std::size_t>& cases) {
    const std::vector<Judged> found = judged(cases, Arm::control);
    for (std::size_t k = 0; k < cases.size(); ++k) {
      if (found[k].verdict != Verdict::regressed && found[k].verdict != Verdict::improved) continue;
      control_differs_ = true;
      result(cases[k]).notes.push_back(
          fmt::format("old differs from itself by {:+.1f}%", 100 * found[k].change.effect));
    }
  }

  void conclude(std::size_t judged_cases) {
    session_.judged = judged_cases;
    session_.notes = subject_.notes();
    if (session_.is_interrupted) {
      session_.notes.insert(session_.notes.begin(), "interrupted: the verdicts rest on the rounds that are complete");
    } else if (cut_) {
      session_.notes.push_back(fmt::format("the budget of {:g} s cut rounds", seconds(options_.budget)));
    }
    if (control_differs_) {
      session_.notes.push_back("old differs from its own control: the machine was measured, not the change");
    }
    std::array<std::size_t, 10> counts{};
    for (const Result& one : session_.results) ++counts[static_cast<std::size_t>(one.outcome)];
    const auto count = [&](Outcome outcome) { return counts[static_cast<std::size_t>(outcome)]; };
    const std::size_t blind = count(Outcome::underpowered);
    Outcome& verdict = session_.verdict;
    if (count(Outcome::failed) > 0) {
      verdict = Outcome::failed;
    } else if (count(Outcome::regressed) > 0 && !control_differs_) {
      verdict = Outcome::regressed;
    } else if (control_differs_ || count(Outcome::inconclusive) > 0 || blind == judged_cases) {
      verdict = Outcome::inconclusive;
    } else {
      verdict = count(Outcome::improved) > 0 ? Outcome::improved : Outcome::ok;
    }
    session_.headline = headline(count(verdict), judged_cases, blind);
  }

  std::string headline(std::size_t of_this_verdict, std::size_t judged_cases, std::size_t blind) {
    std::string which;
    for (const Result& one : session_.results) {
      if (one.outcome != session_.verdict) continue;
      if (!which.empty()) which += ", ";
      which += one.name;
      if (std::isfinite(one.change.effect)) which += fmt::format(" {:+.1f}%", 100 * one.change.effect);
    }
    const std::string cases = fmt::format("{} of {}", of_this_verdict, session_.results.size());
    switch (session_.verdict) {
      case Outcome::failed:
        return fmt::format("FAILED: {} failed in new: {}", cases, which);
      case Outcome::regressed:
        return fmt::format("REGRESSED: {} slower: {}", cases, which);
      case Outcome::improved:
        return fmt::format("IMPROVED: {} faster: {}; none is slower", cases, which);
      case Outcome::inconclusive:
        if (judged_cases == 0) return "INCONCLUSIVE: nothing could be compared";
        if (control_differs_) return "INCONCLUSIVE: old differs from itself on this machine";
        return fmt::format("INCONCLUSIVE: {} could not be decided",
                           of_this_verdict > 0 ? which : std::string("what was asked"));
      default:
        break;
    }
    double visible = 0;
    for (const Result& one : session_.results) {
      if (one.outcome == Outcome::ok) visible = std::max(visible, one.change.smallest_visible);
    }
    std::string text = fmt::format("OK: no change in {} of {}; {:.1f}% would have been seen", of_this_verdict,
                                   session_.results.size(), 100 * visible);
    if (blind > 0) text += fmt::format("; {} too noisy for {:g}%", blind, 100 * options_.asked);
    return text;
  }

  Subject& subject_;
  const Options& options_;
  const Surroundings& around_;
  GateRules rules_;
  SignedRanks ranks_;
  std::mt19937_64 random_;
  nanoseconds start_;
  std::vector<Course> courses_;
  std::vector<std::size_t> decided_;  ///< cases whose outcome is not judge()'s
  Session session_;
  std::size_t round_ = 0, done_ = 0;
  bool over_ = false;  ///< no further launch
  bool cut_ = false;
  bool control_differs_ = false;
};

}  // namespace

std::string_view name_of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::ok:
      return name_of(Verdict::ok);
    case Outcome::regressed:
      return name_of(Verdict::regressed);
    case Outcome::improved:
      return name_of(Verdict::improved);
    case Outcome::inconclusive:
      return name_of(Verdict::inconclusive);
    case Outcome::underpowered:
      return name_of(Verdict::underpowered);
    case Outcome::failed:
      return "FAILED";
    case Outcome::base_failed:
      return "BASE_FAILED";
    case Outcome::added:
      return "NEW";
    case Outcome::removed:
      return "REMOVED";
    case Outcome::skipped:
      break;
  }
  return "SKIPPED";
}

GateRules rules_of(const Options& options) {
  GateRules rules;
  rules.alpha = 0.005;
  rules.margin = options.margin;
  return rules;
}

Session compare(Subject& subject, const Options& options, const Surroundings& surroundings) {
  return Measurement(subject, options, surroundings).run();
}

}  // namespace noisefloor::compare
