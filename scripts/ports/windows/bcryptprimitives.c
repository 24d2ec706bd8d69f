/* The one function of it that Rust's standard library wants, and that wine 8 does not have. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T bytes) {
  return RtlGenRandom(data, (ULONG)bytes);
}
