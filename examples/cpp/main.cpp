// find_nodules BUNDLE SCAN: the nodules of a CT scan, a line each.
#include <cstdio>
#include <lunart/runner.hpp>

int main(int count, char** arguments) try {
  if (count != 3) {
    throw lunart::Error(lunart::Errc::usage, "usage: find_nodules BUNDLE SCAN");
  }
  lunart::Runner runner({.bundle = arguments[1]});
  const lunart::Result result = runner.run(lunart::read_scan(arguments[2]));
  for (const lunart::Finding& nodule : result.nodules) {
    std::printf("%.1f mm at %.1f %.1f %.1f, p = %.3f\n", nodule.diameter_mm, nodule.center_xyz_mm.x,
                nodule.center_xyz_mm.y, nodule.center_xyz_mm.z, nodule.probability);
  }
  return 0;
} catch (const lunart::Error& error) {
  std::fprintf(stderr, "find_nodules: %s\n", error.what());
  return lunart::exit_code(error.code());
}
