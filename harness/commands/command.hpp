// A subcommand as data: what it is called, what it takes, and the function that is called with the values.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"

namespace noisefloor {

/// The words that a value may be, or that a shell offers for it.
struct Choices {
  std::string kind;  ///< "strategy": what a message calls an unknown one
  std::function<std::vector<std::string>()> names;
  bool open = false;  ///< other values are valid, too: the names are offered only
};
/// Fixed words.
[[nodiscard]] Choices words(std::string kind, std::vector<std::string> names);
/// The rows of a table (a span or an array of those), and `before` them some words that are none.
template <class Table>
[[nodiscard]] Choices rows_of(std::string kind, Table table, const std::vector<std::string>& before = {}) {
  return {std::move(kind), [table, before] {
            std::vector<std::string> names = before;
            for (const auto& row : table) names.emplace_back(row.name);
            return names;
          }};
}

/// What is true of an argument beyond its type.
struct Rules {
  std::string value{};  ///< name of its value in the help; default: by its type, or the fixed words
  std::optional<long double> least{}, most{};  ///< of a number, inclusive; a whole number is at least 0
  Choices choices{};
  std::vector<std::string> needs{};     ///< options that it means nothing without
  std::vector<std::string> excludes{};  ///< options that it contradicts; needs telling on one side only
  bool required = false;
};

namespace parsing {
/// These throw UsageError, which says what `text` should have been.
[[nodiscard]] std::uint64_t whole_number(std::string_view text, const Rules& rules, std::uint64_t most);
[[nodiscard]] double number(std::string_view text, const Rules& rules);
[[nodiscard]] std::chrono::nanoseconds duration(std::string_view text);
[[nodiscard]] std::string word(std::string_view text);
[[nodiscard]] std::string shown(std::uint64_t value);
[[nodiscard]] std::string shown(double value);

template <class T>
struct Held {  // a value, perhaps not given, or given often
  using Value = T;
  static constexpr bool is_many = false, is_optional = false;
};
template <class T>
struct Held<std::optional<T>> {
  using Value = T;
  static constexpr bool is_many = false, is_optional = true;
};
template <class T>
struct Held<std::vector<T>> {
  using Value = T;
  static constexpr bool is_many = true, is_optional = false;
};

template <class Value>
Value read(std::string_view text, const Rules& rules) {
  if constexpr (std::is_same_v<Value, std::string>) {
    return word(text);
  } else if constexpr (std::is_integral_v<Value>) {
    return static_cast<Value>(whole_number(text, rules, static_cast<std::uint64_t>(std::numeric_limits<Value>::max())));
  } else if constexpr (std::is_floating_point_v<Value>) {
    return static_cast<Value>(number(text, rules));
  } else if constexpr (std::is_same_v<Value, std::chrono::nanoseconds>) {
    return duration(text);
  } else {
    Value value{};
    parse_value(text, value);  // the type's own, beside it; throws UsageError that says why
    return value;
  }
}

template <class Value>
constexpr std::string_view value_name() {
  if constexpr (std::is_same_v<Value, bool>) return "";
  if constexpr (std::is_integral_v<Value>) return "N";
  if constexpr (std::is_floating_point_v<Value>) return "NUMBER";
  if constexpr (std::is_same_v<Value, std::chrono::nanoseconds>) return "TIME";
  return "VALUE";
}
}  // namespace parsing

/// One option, flag or positional. Its kind is the type of the member of `Values` that it sets: bool is a flag; whole
/// numbers (0 to the largest of the type, in digits alone), numbers, nanoseconds (a time such as 1h30m), text, and
/// types with a `parse_value(std::string_view, T&)` of their own take a value. A vector takes many: an option may be
/// given again, a positional takes all that is left. What the member holds at first is the default, and shown in the
/// help. An optional has none.
struct Argument {
  template <class Values, class T>
  Argument(std::string name_, T Values::*member, std::string help_, Rules rules_ = {})
      : name(std::move(name_)),
        help(std::move(help_)),
        rules(std::move(rules_)),
        value(rules.value.empty() ? parsing::value_name<typename parsing::Held<T>::Value>() : rules.value),
        is_many(parsing::Held<T>::is_many),
        is_whole(std::is_integral_v<typename parsing::Held<T>::Value> && !std::is_same_v<T, bool>),
        of(typeid(Values)) {
    using Held = parsing::Held<T>;
    store = [member](void* values, std::string_view text, const Rules& its) {
      T& at = static_cast<Values*>(values)->*member;
      if constexpr (std::is_same_v<T, bool>) {
        at = true;
      } else if constexpr (Held::is_many) {
        at.push_back(parsing::read<typename Held::Value>(text, its));
      } else {
        at = parsing::read<typename Held::Value>(text, its);
      }
    };
    const Values fresh{};
    if constexpr (std::is_same_v<T, std::string>) {
      shown_default = fresh.*member;
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      shown_default = parsing::shown(static_cast<std::uint64_t>(fresh.*member));
    } else if constexpr (std::is_floating_point_v<T>) {
      shown_default = parsing::shown(static_cast<double>(fresh.*member));
    }
  }

  std::string name;  ///< "--seed"; of a positional without dashes: "SWEEP"
  std::string help;
  Rules rules;
  std::string value;  ///< name of its value; empty: a flag
  bool is_many;
  bool is_whole;              ///< takes whole numbers
  std::string shown_default;  ///< empty: none
  std::type_index of;         ///< whose member it sets
  std::function<void(void* values, std::string_view text, const Rules& rules)> store;

  [[nodiscard]] bool is_positional() const { return !name.starts_with('-'); }
  [[nodiscard]] bool is_flag() const { return value.empty(); }
};

/// The function of a subcommand, which gets a `Values` that its arguments have set.
class Action {
 public:
  Action() = default;
  template <class Values>
  Action(ExitStatus (*run)(const Values&)) : Action(std::function<ExitStatus(const Values&)>(run)) {}
  template <class Values>
  Action(std::function<ExitStatus(const Values&)> run)
      : of_(typeid(Values)),
        make_([] { return std::make_shared<Values>(); }),
        run_([run](const void* values) { return run(*static_cast<const Values*>(values)); }) {}
  Action(ExitStatus (*run)()) : make_([] { return nullptr; }), run_([run](const void*) { return run(); }) {}

  [[nodiscard]] explicit operator bool() const { return run_ != nullptr; }
  [[nodiscard]] std::type_index of() const { return of_; }
  [[nodiscard]] std::shared_ptr<void> values() const { return make_(); }
  [[nodiscard]] ExitStatus operator()(const void* values) const { return run_(values); }

 private:
  std::type_index of_ = typeid(void);
  std::function<std::shared_ptr<void>()> make_;
  std::function<ExitStatus(const void*)> run_;
};

/// A subcommand, or the program itself. It has an action, or commands of its own.
struct Command {
  std::string name{};
  std::string help{};                   ///< what it is for; its first sentence is the line in the list of commands
  std::vector<std::string> examples{};  ///< command lines; at least one
  std::vector<Argument> arguments{};
  Action action{};
  std::vector<Command> commands{};
  bool is_hidden = false;  ///< for programs, not for people: not listed
};

/// All subcommands, in the order of the help. A subcommand x is a file x.cpp, which defines `Command x_command()`, and
/// its name in the list in this folder's CMakeLists.txt, from which this function is made.
[[nodiscard]] std::vector<Command> subcommands();

/// A command line that was understood: what remains is to call it.
using Call = std::function<ExitStatus()>;
/// Reads the words behind the program's name. --help and --version are calls that print. Throws UsageError, with the
/// text of the value and what it should be. Nothing has run then.
[[nodiscard]] Call parse(const Command& program, const std::string& version, const std::vector<std::string>& words);

/// The words behind the program's name.
[[nodiscard]] std::vector<std::string> words_of(int argc, char** argv);

/// Calls `run`, whatever it throws, and sees to it that what it printed is written. Errors are said on standard error,
/// after the program's name. Returns the status to exit with.
[[nodiscard]] int exit_status(std::string_view program, const std::function<ExitStatus()>& run) noexcept;

}  // namespace noisefloor
