std = "lua54"
max_line_length = 130
files["bindings/lua/dl/*.lua"] = { std = "lua54" }
files["Tests/lua/*.lua"] = { std = "lua54" }
files["examples/lua/*.lua"] = { std = "lua54" }
files["benchmarks/*.lua"] = { std = "lua54" }
