import CDLShims

/// The C library's logarithm, the only function of it that this module needs.
func logarithm(_ x: Double) -> Double { dl_system_log(x) }
