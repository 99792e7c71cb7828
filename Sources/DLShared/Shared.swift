// The shared library is the product of this module alone, which carries its linker flags. On the library's own target
// they would reach the tests' executable, where they do not hold.
