#include "engines/elf.hpp"

#include <elf.h>

#include <cstring>
#include <fstream>

namespace lunart {

bool is_cut_off(const std::filesystem::path& library) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(library, error);
  std::ifstream file(library, std::ios::binary);
  Elf64_Ehdr header{};
  if (error || !file.read(reinterpret_cast<char*>(&header), sizeof header)) return false;
  // Whatever else is no library for this machine, the loader refuses by itself.
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (int k = 0; k < header.e_phnum; ++k) {
    Elf64_Phdr part{};
    if (!file.read(reinterpret_cast<char*>(&part), sizeof part)) return true;
    if (part.p_type == PT_LOAD && (part.p_offset > size || part.p_filesz > size - part.p_offset)) {
      return true;
    }
  }
  return false;
}

}  // namespace lunart
