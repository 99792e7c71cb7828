-- Variables, tapes, gradients.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises

test("the computational graph of (x + y) z", function()
  local x, y, z = dl.Variable(-2), dl.Variable(5), dl.Variable(-4)
  local tape <close> = dl.GradientTape()
  local q = x + y
  local f = q * z
  local df = tape:gradient(f, { x = x, y = y, z = z, q = q })
  equal({ f:item(), df.x:item(), df.y:item(), df.z:item(), df.q:item() }, { -12, -4, -4, 3, -4 })
end)

test("variables", function()
  local v = dl.Variable({ 1, 2 }, { name = "weights", trainable = false })
  equal(v.kind, "variable")
  equal(v.trainable, false)
  assert(v.name:find "weights")
  v:assign{ 3, 4 }
  equal(v:totable(), { 3, 4 })
  raises("dl[E_", function() v:assign{ 1, 2, 3 } end)
  raises({ "unknown option 'nam'", "name" }, dl.Variable, 1, { nam = "x" })
  equal(dl.Variable(1, { dtype = "f64" }).dtype, "float64")
end)

test("sources in a list, missing ones", function()
  local a, b = dl.Variable(2), dl.Variable(3)
  local tape <close> = dl.GradientTape()
  local y = a * a
  local g = tape:gradient(y, { a, b })
  near(g[1]:item(), 4)
  equal(g[2], false)
  equal(tape:gradient(y, b), nil)
end)

test("watched tensors", function()
  local x = dl.tensor{ 1, 2, 3 }
  local tape <close> = dl.GradientTape()
  tape:watch(x)
  local y = (x * x):sum()
  near(tape:gradient(y, x):totable(), { 2, 4, 6 })
end)

test("grad and value_and_grad", function()
  near(dl.grad(function(x) return x ^ 3 end)(2):item(), 12)
  near(dl.grad(dl.grad(function(x) return x ^ 3 end))(2):item(), 12)
  local w = dl.Variable{ 1, 2 }
  local value, g = dl.value_and_grad(function() return (w * w):sum() end, { w })
  near(value:item(), 5)
  near(g[1]:totable(), { 2, 4 })
end)

test("a closed tape", function()
  local tape = dl.GradientTape()
  tape:close()
  raises({ "dl[E_STATE]", "closed" }, function() tape:gradient(dl.tensor(1), dl.tensor(1)) end)
  raises("did you mean tape:gradient", dl.GradientTape().gradient, dl.tensor(1))
  raises("dl[E_ARGUMENT]", function() dl.GradientTape():gradient(3, dl.tensor(1)) end)
end)

test("a raising function leaves no tape behind", function()
  raises("boom", dl.grad(function() error "boom" end), dl.tensor(1))
  raises("dl[E_ARGUMENT]", dl.grad, 3)
  near(dl.grad(function(x) return x * 3 end)(1):item(), 3)
end)

test("a training step by hand", function()
  local w = dl.Variable{ { 0.0 }, { 0.0 } }
  local x, y = dl.tensor{ { 1, 2 }, { 3, 4 }, { 5, 6 } }, dl.tensor{ { 5 }, { 11 }, { 17 } }
  local sgd, last = dl.optimizers.SGD{ learning_rate = 0.01 }, nil
  for _ = 1, 200 do
    local tape <close> = dl.GradientTape()
    local loss = ((x:matmul(w) - y) ^ 2):mean()
    sgd:apply(tape:gradient(loss, { w }), { w })
    last = loss:item()
  end
  assert(last < 0.1, last)
  equal(sgd.iterations, 200)
  raises("dl[E_ARGUMENT]", function() sgd:apply({ w }, {}) end)
  raises("dl[E_ARGUMENT]", function() sgd:apply(1, 2) end)
end)

T.finish()
