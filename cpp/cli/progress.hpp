// Progress with the time left, on standard error, and Ctrl-C.
#pragma once

#include "cli/options.hpp"

namespace lunart::cli {

// From now on Ctrl-C ends the program at once: while nothing has been begun that could be left half
// done.
void stop_on_interrupt();

// From now on Ctrl-C makes the next progress report throw Errc::interrupted; a second one kills.
void watch_interrupts();

// Throws Errc::interrupted after Ctrl-C.
[[nodiscard]] Tick interrupt_tick();

// One scan's progress. A bar is redrawn on a terminal and written as a line a stage elsewhere.
[[nodiscard]] ProgressCallback progress_of(ProgressStyle style);

}  // namespace lunart::cli
