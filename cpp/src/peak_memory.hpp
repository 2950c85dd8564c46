// The most memory that this process has held.
#pragma once

namespace lunart {

[[nodiscard]] double peak_rss_mb();

}  // namespace lunart
