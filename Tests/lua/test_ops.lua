-- Operations by name: positions, axes, options, bad input.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local ops = dl.ops

test("as functions and as methods", function()
  local t = dl.tensor{ 1, 4, 9 }
  near(ops.sqrt(t):totable(), { 1, 2, 3 })
  near(t:sqrt():totable(), { 1, 2, 3 })
  equal(ops.maximum(t, 5):totable(), { 5, 5, 9 })
  equal(t:maximum(5):totable(), { 5, 5, 9 })
  equal(ops.matmul({ { 1, 2 } }, { { 3 }, { 4 } }):totable(), { { 11 } })
end)

test("axes count from 1", function()
  local t = dl.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }
  equal(t:sum(1):totable(), { 5, 7, 9 })
  equal(t:sum(2):totable(), { 6, 15 })
  equal(t:sum(-1):totable(), { 6, 15 })
  equal(t:sum{ 1, 2 }:item(), 21)
  equal(t:sum():item(), 21)
  equal(t:mean(2, { keepdims = true }):totable(), { { 2 }, { 5 } })
  equal(t:sum{ axis = 1 }:totable(), { 5, 7, 9 })
  raises({ "test_ops.lua:", "dl[E_RANGE]", "axes count from 1" }, function() t:sum(0) end)
  raises({ "dl[E_RANGE]" }, function() t:sum(3) end)
  raises("dl[E_ARGUMENT]", function() t:sum(1.5) end)
end)

test("positions in results count from 1", function()
  local t = dl.tensor{ { 1, 9, 3 }, { 4, 2, 6 } }
  equal(t:argmax(2):totable(), { 2, 3 })
  equal(t:argmin(2):totable(), { 1, 2 })
  equal(t[1]:argmax():item(), 2)
  local values, places = t:top_k(2)
  near(values:totable(), { { 9, 3 }, { 6, 4 } })
  equal(places:totable(), { { 2, 3 }, { 3, 1 } })
end)

test("positions in arguments count from 1", function()
  local t = dl.tensor{ 10, 20, 30 }
  equal(ops.take(t, { 1, 3 }, 1):totable(), { 10, 30 })
  equal(ops.take(t, dl.tensor({ -1, 2 }, "i32"), 1):totable(), { 30, 20 })
  equal(ops.one_hot(dl.tensor({ 1, 3 }, "i32"), 3):totable(), { { 1, 0, 0 }, { 0, 0, 1 } })
  raises({ "dl[E_RANGE]", "position 0" }, ops.take, t, { 0 }, 1)
  raises("dl[E_RANGE]", ops.take, t, { 4 }, 1)
end)

test("shapes", function()
  local t = dl.arange(6)
  equal(t:reshape{ 2, 3 }.shape, { 2, 3 })
  equal(t:reshape(2, -1).shape, { 2, 3 })
  equal(t:reshape{ -1, 2 }.shape, { 3, 2 })
  equal(ops.transpose(t:reshape{ 2, 3 }).shape, { 3, 2 })
  raises({ "dl[E_SHAPE]", "reshape" }, function() t:reshape{ 4, 2 } end)
  equal(ops.concatenate({ t, t }, { axis = 1 }).shape, { 12 })
  equal(ops.stack({ t, t }, { axis = 1 }).shape, { 2, 6 })
  equal(ops.expand_dims(t, 1).shape, { 1, 6 })
end)

test("numbers may stand for tensors", function()
  equal(ops.where(dl.tensor{ true, false }, 1, 0):totable(), { 1, 0 })
  equal(ops.add(dl.tensor{ 1 }, 2):totable(), { 3 })
end)

test("bad calls", function()
  raises({ "dl[E_NOT_FOUND]", "did you mean 'softmax'" }, function() return ops.softmx end)
  raises({ "dl[E_ARGUMENT]", "unknown option 'keepdim'", "keepdims" }, function() dl.tensor{ 1 }:sum{ keepdim = true } end)
  raises({ "dl[E_ARGUMENT]", "add takes 2 tensors" }, ops.add, dl.tensor{ 1 })
  raises("dl[E_", ops.add, nil, nil)
  raises("dl[E_ARGUMENT]", ops.sqrt, "x")
  raises("dl[E_ARGUMENT]", ops.sqrt, dl.tensor{ 1 }, 2, 3, 4)
  raises("dl[E_DTYPE]", ops.matmul, dl.tensor({ { 1 } }, "i32"), dl.tensor({ { 1 } }, "bool"))
end)

test("comparisons", function()
  local a, b = dl.tensor{ 1, 2, 3 }, dl.tensor{ 3, 2, 1 }
  equal(a:eq(b):totable(), { false, true, false })
  equal(a:ge(b):totable(), { false, true, true })
  equal(a:ne(2):totable(), { true, false, true })
  equal(a:allclose(a + 1e-9), true)
  equal(a:allclose(b), false)
  equal(dl.tensor({ 1, 2, 3 }, "i32"):isin{ 1, 3 }:totable(), { true, false, true })
end)

test("clipping by the norm of all", function()
  local clipped, norm = ops.clip_by_global_norm({ dl.tensor{ 3 }, false, dl.tensor{ 4 } }, 1)
  near(norm:item(), 5)
  near(clipped[1]:item(), 0.6)
  equal(clipped[2], false)
  near(clipped[3]:item(), 0.8)
  near(ops.clip_by_global_norm({ dl.tensor{ 0.3 } }, 1)[1]:item(), 0.3)
end)

test("every operation has a description and a function", function()
  local count = 0
  for _, name in ipairs(dl.list "operation") do
    local declaration = assert(dl.describe("operation", name))
    assert(declaration.summary ~= "", name)
    assert(type(ops[name]) == "function", name)
    count = count + 1
  end
  assert(count > 50, count)
end)

test("einsum", function()
  local a, b = dl.tensor{ { 1, 2 }, { 3, 4 } }, dl.tensor{ { 5, 6 }, { 7, 8 } }
  equal(ops.einsum("ij,jk->ik", a, b):totable(), { { 19, 22 }, { 43, 50 } })
  equal(ops.einsum("ij,jk->ik", { a, b }):totable(), { { 19, 22 }, { 43, 50 } })
  equal(ops.einsum(a, b, { subscripts = "ij,jk" }):totable(), { { 19, 22 }, { 43, 50 } })
  equal(ops.einsum("...ii->...", a):item(), 5)
  equal(dl.grad(function(x) return ops.einsum("ij,j->", x, dl.tensor{ 1, 2 }) end)(a):totable(), { { 1, 2 }, { 1, 2 } })
  raises({ "test_ops.lua:", "dl[E_SHAPE]", "[einsum]", "'j'" }, function() ops.einsum("ij,jk->ik", a, dl.ones(3, 2)) end)
  raises({ "dl[E_ARGUMENT]", "subscripts" }, ops.einsum, a, b)
  raises({ "dl[E_ARGUMENT]", "given twice" }, ops.einsum, "ij,jk->ik", a, b, { subscripts = "ij,jk->ik" })
end)

test("any number of tensors, another one each time", function()
  local t = dl.arange(2)
  equal(ops.concatenate(t, t).shape, { 4 })
  equal(ops.concatenate(t, t, t).shape, { 6 })
  equal(ops.concatenate({ t, t, t, t }).shape, { 8 })
  equal(ops.vstack(t, t, t).shape, { 3, 2 })
end)

T.finish()
