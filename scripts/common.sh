# Shared by the scripts beside it: where the checkout is, how they speak, how they configure and build.
# Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$root}"

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Cores to use. Large template files take about a gigabyte each, so memory counts as well.
jobs() {
  local cores memory
  cores=$(nproc 2>/dev/null || echo 1)
  memory=$(awk '/^MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo 2>/dev/null || true)
  if [ -n "$memory" ] && [ "$memory" -lt "$cores" ]; then cores=$((memory > 0 ? memory : 1)); fi
  echo "$cores"
}

# build PRESET [TARGET...]: configures and builds build/PRESET.
build() {
  local preset=$1
  shift
  say "configuring build/$preset"
  (cd "$root" && cmake --preset "$preset")
  say "building build/$preset ${*:-(everything)}"
  if [ $# -gt 0 ]; then
    cmake --build "$root/build/$preset" --parallel "$(jobs)" --target "$@"
  else
    cmake --build "$root/build/$preset" --parallel "$(jobs)"
  fi
}

# run_tests PRESET: every test of build/PRESET.
run_tests() {
  say "testing build/$1"
  ctest --test-dir "$root/build/$1" --output-on-failure --no-tests=error -j "$(jobs)"
}
