/* The target is headers only; a C target wants one source. */
