-- Tensors: construction, indexing, operators, bad input.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises

test("from tables and back", function()
  local t = dl.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }
  equal(t.shape, { 2, 3 })
  equal(t.dtype, "float32")
  equal(t:totable(), { { 1, 2, 3 }, { 4, 5, 6 } })
  equal(#t, 2)
  equal(t:size(2), 3)
  equal(t:size(-1), 3)
  equal(t:numel(), 6)
  equal(t:dim(), 2)
end)

test("scalars", function()
  local t = dl.tensor(2.5)
  equal(t.shape, {})
  equal(t:item(), 2.5)
  equal(dl.tensor(true).dtype, "bool")
  equal(dl.tensor(true):item(), true)
  equal(math.type(dl.tensor(7, "i64"):item()), "integer")
end)

test("dtypes have short and long names", function()
  for short, long in pairs{ f32 = "float32", f64 = "float64", i32 = "int32", i64 = "int64", u8 = "uint8", bool = "bool" } do
    equal(dl.tensor({ 1, 0 }, short).dtype, long)
    equal(dl.tensor({ 1, 0 }, { dtype = long }).dtype, long)
  end
  raises({ "test_tensor.lua:", "dl[E_DTYPE]", "float33" }, function() dl.tensor({ 1 }, "float33") end)
end)

test("whole numbers that do not fit are refused with their place", function()
  raises({ "dl[E_DTYPE]", "300", "(2)", "uint8" }, dl.tensor, { 1, 300 }, "u8")
  raises({ "2.5", "(1, 2)", "int32" }, dl.tensor, { { 1, 2.5 } }, "i32")
end)

test("ragged and strange tables", function()
  raises({ "dl[E_SHAPE]", "(2)", "3 entries", "2" }, dl.tensor, { { 1, 2 }, { 1, 2, 3 } })
  raises({ "dl[E_SHAPE]" }, dl.tensor, { { 1 }, 2 })
  raises({ "dl[E_ARGUMENT]" }, dl.tensor, { 1, "x" })
  raises({ "dl[E_ARGUMENT]" }, dl.tensor, nil)
  raises({ "dl[E_ARGUMENT]" }, dl.tensor, { x = 1 })
  raises({ "dl[E_ARGUMENT]" }, dl.tensor, print)
  local deep = 1
  for _ = 1, 20 do deep = { deep } end
  raises("dl[E_SHAPE]", dl.tensor, deep)
  equal(dl.tensor({}).shape, { 0 })
end)

test("filled tensors", function()
  equal(dl.zeros(2, 2):totable(), { { 0, 0 }, { 0, 0 } })
  equal(dl.zeros({ 3 }, "i32"):totable(), { 0, 0, 0 })
  equal(dl.ones{ 2 }:totable(), { 1, 1 })
  equal(dl.full({ 2 }, 7):totable(), { 7, 7 })
  equal(dl.full({ 2 }, true, "bool"):totable(), { true, true })
  equal(dl.arange(4):totable(), { 1, 2, 3, 4 })
  equal(dl.arange(0, 1, 0.5):totable(), { 0, 0.5, 1 })
  equal(dl.linspace(0, 1, 3):totable(), { 0, 0.5, 1 })
  equal(dl.eye(2):totable(), { { 1, 0 }, { 0, 1 } })
  equal(dl.zeros_like(dl.ones(2)):totable(), { 0, 0 })
  raises("dl[E_", dl.zeros, -1)
  raises("dl[E_", dl.zeros, { 2 ^ 40, 2 ^ 40 })
  raises("dl[E_ARGUMENT]", dl.arange, 1, 2 ^ 60)
end)

test("random tensors follow the seed", function()
  local a, b = dl.uniform({ 3, 4 }, { seed = 5 }), dl.uniform({ 3, 4 }, { seed = 5 })
  equal(a:totable(), b:totable())
  equal(a.shape, { 3, 4 })
  dl.set_random_seed(9)
  local c = dl.normal(4)
  dl.set_random_seed(9)
  equal(dl.normal(4):totable(), c:totable())
  for _, value in ipairs(dl.rand(100):totable()) do assert(value >= 0 and value < 1) end
  raises({ "unknown option 'sed'", "did you mean 'seed'" }, dl.uniform, { 2 }, { sed = 1 })
end)

test("positions count from 1", function()
  local t = dl.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }
  equal(t[1]:totable(), { 1, 2, 3 })
  equal(t[-1]:totable(), { 4, 5, 6 })
  equal(t[2][3]:item(), 6)
  equal(t[3], nil)
  raises({ "dl[E_RANGE]", "index 0" }, function() return t[0] end)
  raises({ "dl[E_RANGE]", "index 4", "size 2" }, function() return t[4] end)
  raises("dl[E_RANGE]", function() return t[-3] end)
  raises("dl[E_", function() return dl.tensor(1)[1] end)
  raises("dl[E_ARGUMENT]", function() return t[1.5] end)
end)

test("ipairs walks the first axis", function()
  local sum = 0
  for _, row in ipairs(dl.tensor{ { 1, 2 }, { 3, 4 } }) do sum = sum + row[2]:item() end
  equal(sum, 6)
  local places = {}
  for place, row in dl.tensor{ 5, 6 }:iter() do places[place] = row:item() end
  equal(places, { 5, 6 })
end)

test("slices", function()
  local t = dl.tensor{ { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 10, 11, 12 } }
  equal(t[{ { 2, 3 } }]:totable(), { { 5, 6, 7, 8 }, { 9, 10, 11, 12 } })
  equal(t[{ 2, 3 }]:item(), 7)
  equal(t[{ {}, 1 }]:totable(), { 1, 5, 9 })
  equal(t[{ { 1, -2 }, { 2, -1 } }]:totable(), { { 2, 3, 4 }, { 6, 7, 8 } })
  equal(t[{ 1, { 1, 4, 2 } }]:totable(), { 1, 3 })
  equal(t[{ 1, { -1, 1, -1 } }]:totable(), { 4, 3, 2, 1 })
  equal(t[{ 1, { 3 } }]:totable(), { 3, 4 })
  equal(t:slice{ { 1, 1 } }.shape, { 1, 4 })
  raises({ "dl[E_SHAPE]", "3 axes" }, function() return t[{ 1, 1, 1 }] end)
  raises("dl[E_RANGE]", function() return t[{ { 0, 1 } }] end)
  raises("dl[E_ARGUMENT]", function() return t[{ "x" }] end)
end)

test("assignment", function()
  local t = dl.zeros(2, 3)
  t[1] = 7
  t[{ 2, { 2, 3 } }] = { 8, 9 }
  equal(t:totable(), { { 7, 7, 7 }, { 0, 8, 9 } })
  t[{ 2, 1 }] = dl.tensor(5)
  equal(t[{ 2, 1 }]:item(), 5)
  raises("dl[E_", function() t[1] = { 1, 2 } end)
  raises("dl[E_RANGE]", function() t[3] = 1 end)
  raises("cannot be set", function() t.shape = { 1 } end)
end)

test("masks", function()
  local t = dl.tensor{ 1, 2, 3, 4 }
  equal(t[t:gt(2)]:totable(), { 3, 4 })
  t[t:lt(3)] = 0
  equal(t:totable(), { 0, 0, 3, 4 })
  raises("dl[E_DTYPE]", function() return t[t] end)
  raises("dl[E_SHAPE]", function() return t[dl.tensor{ true }] end)
end)

test("operators", function()
  local a, b = dl.tensor{ 1, 2, 3 }, dl.tensor{ 4, 5, 6 }
  equal((a + b):totable(), { 5, 7, 9 })
  equal((b - a):totable(), { 3, 3, 3 })
  equal((a * 2):totable(), { 2, 4, 6 })
  equal((2 * a):totable(), { 2, 4, 6 })
  equal((6 / a):totable(), { 6, 3, 2 })
  equal((a ^ 2):totable(), { 1, 4, 9 })
  equal((-a):totable(), { -1, -2, -3 })
  equal((b // 2):totable(), { 2, 2, 3 })
  equal((b % 4):totable(), { 0, 1, 2 })
  equal((a:gt(1) & a:lt(3)):totable(), { false, true, false })
  equal((~a:gt(1)):totable(), { true, false, false })
  near((dl.tensor{ { 1, 2 } } + dl.tensor{ { 10 }, { 20 } }):totable(), { { 11, 12 }, { 21, 22 } })
end)

test("operators refuse what does not fit", function()
  local a = dl.tensor{ 1, 2, 3 }
  raises({ "test_tensor.lua:", "dl[E_SHAPE]" }, function() return a + dl.tensor{ 1, 2 } end)
  raises("dl[E_ARGUMENT]", function() return a + "x" end)
  raises("dl[E_ARGUMENT]", function() return a < a end)
  equal(a == a, true)
  equal(a == dl.tensor{ 1, 2, 3 }, false)
end)

test("numbers keep the type of whole tensors where they can", function()
  equal((dl.tensor({ 1, 2 }, "i32") + 1).dtype, "int32")
  equal((dl.tensor({ 1, 2 }, "i32") + 0.5).dtype, "float32")
  equal((dl.tensor({ 1, 2 }, "f64") * 3).dtype, "float64")
  equal((dl.tensor({ 1, 2 }, "u8") + 300):totable(), { 301, 302 })
end)

test("text", function()
  local text = tostring(dl.tensor{ { 1, 2 }, { 3, 4 } })
  assert(text:find "float32", text)
  equal("loss " .. dl.tensor(0.5), "loss 0.5")
  equal(dl.tensor(3, "i32") .. " of 4", "3 of 4")
  raises("dl[E_", function() return "x" .. dl.tensor{ 1, 2 } end)
end)

test("use after close is an error", function()
  local t = dl.tensor{ 1, 2 }
  t:close()
  equal(t:is_closed(), true)
  raises({ "dl[E_STATE]", "closed" }, function() return t + 1 end)
  raises("closed", function() return t.shape end)
  raises("closed", function() return #t end)
  assert(tostring(t):find "closed")
  t:close()
  do
    local held <close> = dl.tensor{ 1 }
    t = held
  end
  equal(t:is_closed(), true)
end)

test("conversion", function()
  equal(dl.tensor{ 1.7, -1.7 }:to "i32":totable(), { 1, -1 })
  equal(dl.tensor{ 0, 2 }:to "bool":totable(), { false, true })
  raises("dl[E_", function() dl.tensor{ 1 }:to "x" end)
  raises("dl[E_ARGUMENT]", function() dl.tensor{ 1 }:to(3) end)
  raises({ "dl[E_SHAPE]", "2" }, function() dl.tensor{ 1, 2 }:item() end)
end)

test("a misspelt method names its neighbour", function()
  raises({ "test_tensor.lua:", "reshap", "did you mean 'reshape'" }, function() dl.tensor{ 1 }:reshap(1) end)
end)

test("stacking tensors", function()
  equal(dl.tensor{ dl.tensor{ 1, 2 }, dl.tensor{ 3, 4 } }:totable(), { { 1, 2 }, { 3, 4 } })
end)

test("tensors of long loops are collected", function()
  collectgarbage()
  local before = dl.memory().bytes_in_use
  for _ = 1, 400 do dl.zeros(1024, 256) end
  -- 400 MB went by; the collector was told.
  assert(dl.memory().bytes_in_use - before < 200 * 2 ^ 20, dl.memory().bytes_in_use - before)
end)

T.finish()
