#!/bin/sh
# Arguments that rustc has for the C compiler of macOS, to Rust's ld64.lld (LD64) with the libraries in SDKROOT.
set -eu
minimum=$MACOSX_DEPLOYMENT_TARGET
set -- "$@" --end
while [ "$1" != --end ]; do
  arg=$1
  shift
  case $arg in
    -Wl | -nodefaultlibs) ;;
    -Wl,*)
      IFS=,
      # shellcheck disable=SC2086 # one argument a comma
      set -- "$@" ${arg#-Wl,}
      unset IFS
      ;;
    -dynamiclib) set -- "$@" -dylib ;;
    -mmacosx-version-min=*) minimum=${arg#*=} ;;
    -isysroot) shift ;;
    *) set -- "$@" "$arg" ;;
  esac
done
shift
# -x: without local symbols, of which nothing is looked up.
exec "$LD64" -x -platform_version macos "$minimum" 15.0 -syslibroot "$SDKROOT" "$@"
