-- The host program. What lua does as well is also tested with lua, if that is what runs this file.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local test, equal = T.test, T.equal

local host = arg[-1]
local place = -1
while arg[place - 1] do place, host = place - 1, arg[place - 1] end
local is_dlua = host:match "dlua" ~= nil

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- Runs the host; gives what it prints, errors included, and its exit code.
local function run(words, input, environment)
  local parts = { environment or "", quote(host) }
  for _, word in ipairs(words) do parts[#parts + 1] = quote(word) end
  local pipe = io.popen(("{ printf %%s %s | %s 2>&1; echo \"code $?\"; }"):format(quote(input or ""), table.concat(parts, " ")))
  local text = pipe:read "a"
  pipe:close()
  local out, code = text:match "^(.*)code (%d+)\n$"
  return out, tonumber(code)
end

local script = T.temporary ".lua"

test("-e, in order, with values", function()
  equal({ run{ "-e", "x = 2", "-e", "print(x + 1)" } }, { "3\n", 0 })
  equal({ run{ "-eprint(1)" } }, { "1\n", 0 })
end)

test("scripts and their arguments", function()
  T.write(script, "#!/usr/bin/env dlua\nprint((...), arg[0] == '" .. script .. "', arg[1], #arg, arg[-1] ~= nil)")
  equal({ run{ script, "a", "b" } }, { "a\ttrue\ta\t2\ttrue\n", 0 })
  equal((run{ "--", script, "z" }), "z\ttrue\tz\t1\ttrue\n")
end)

test("exit codes", function()
  equal(select(2, run{ "-e", "os.exit(3)" }), 3)
  equal(select(2, run{ "-e", "os.exit(true)" }), 0)
  equal(select(2, run{ "-e", "error 'x'" }), 1)
  equal(select(2, run{ "-e", "x = = 1" }), 1)
  equal(select(2, run{ "nonexistent.lua" }), 1)
  equal(select(2, run{ "-z" }), 1)
  equal(select(2, run{ "-e" }), 1)
end)

test("errors carry position and traceback", function()
  T.write(script, "local function f()\n  error 'boo'\nend\nf()\n")
  local out, code = run{ script }
  equal(code, 1)
  assert(out:find(script .. ":2: boo", 1, true), out)
  assert(out:find("stack traceback", 1, true) and out:find("main chunk", 1, true), out)
  assert((run{ "-e", "error(setmetatable({}, { __tostring = function() return 'object' end }))" }):find "object")
  assert((run{ "-e", "error{}" }):find "error object is a table value")
end)

test("the standard input", function()
  equal({ run({}, "print(1)") }, { "1\n", 0 })
  equal({ run({ "-", "a" }, "print(...)") }, { "a\n", 0 })
  assert((run({}, "error 'x'")):find "stdin:1: x")
  equal(select(2, run({ "-" }, "error 'x'")), 1)
end)

test("-l", function()
  equal((run{ "-l", "string", "-e", "print(string.upper 'a')" }), "A\n")
  equal((run{ "-l", "s=string", "-e", "print(s.upper 'a')" }), "A\n")
  equal(select(2, run{ "-l", "no_such_module" }), 1)
end)

test("LUA_INIT and -E", function()
  equal((run({ "-e", "print 'b'" }, "", "LUA_INIT=\"print 'a'\"")), "a\nb\n")
  equal((run({ "-E", "-e", "print 'b'" }, "", "LUA_INIT=\"print 'a'\"")), "b\n")
  T.write(script, "print 'file'")
  equal((run({ "-e", "print 'b'" }, "", "LUA_INIT=@" .. script)), "file\nb\n")
end)

test("warnings", function()
  equal((run{ "-W", "-e", "warn 'careful'" }), "Lua warning: careful\n")
  equal((run{ "-e", "warn 'careful'" }), "")
end)

test("the prompt", function()
  local out, code = run({ "-i" }, "1 + 1\nfor i = 1, 2 do\nprint('i', i)\nend\n= 3 * 4\nx =\n5\nx\nerror 'oops'\nnil\n")
  equal(code, 0)
  for _, piece in ipairs{ "2\n", "i\t1\ni\t2\n", "12\n", "5\n", "stdin:1: oops", "nil\n" } do
    assert(out:find(piece, 1, true), piece .. "\n" .. out)
  end
end)

if is_dlua then
  test("dl is there to be required, and no global", function()
    equal((run{ "-e", "print(dl, require 'dl' == require 'dl')" }), "nil\ttrue\n")
    equal((run{ "-l", "dl", "-e", "print(dl.ones(2):sum():item())" }), "2.0\n")
    equal((run{ "-e", "print(require 'dl.layers' == require 'dl'.layers)" }), "true\n")
  end)

  test("versions", function()
    assert((run{ "-v" }):match "^dlua %d+%.%d+%.%d+, Lua 5%.4")
    local out = run{ "info" }
    for _, word in ipairs{ "version", "processor", "threads", "kernels" } do assert(out:find(word, 1, true), out) end
  end)

  test("descriptions", function()
    local out, code = run{ "doc", "Dense" }
    equal(code, 0)
    assert(out:find "units" and out:find "activation", out)
    out, code = run{ "doc", "Dens" }
    equal(code, 1)
    assert(out:find "did you mean 'Dense'", out)
  end)

  test("mistakes point at the script's line", function()
    T.write(script, "local dl = require 'dl'\n\nlocal d = dl.layers.Dense{ 3, activaton = 'relu' }\n")
    local out = run{ script }
    local expected = ":3: dl[E_ARGUMENT] unknown option 'activaton' for Dense; did you mean 'activation'?"
    assert(out:find(script .. expected, 1, true), out)
  end)
end

test("requiring a part first", function()
  equal((run{ "-e", "print(type(require 'dl.ops'), type(require 'dl'))" }), "table\ttable\n")
end)

os.remove(script)
T.finish()
