-- dl.compile: steps of one's own as plans, with variables, optimizers and metrics inside.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, O = dl.layers, dl.optimizers

test("a function is called once for each signature", function()
  local calls = 0
  local f = dl.compile(function(x, y)
    calls = calls + 1
    return x * y + 1, x:sum()
  end)
  for step = 1, 3 do
    local product, sum = f(dl.tensor{ 1.0, 2.0 } * step, dl.tensor{ 3.0, 4.0 })
    equal(product:totable(), { 3.0 * step + 1, 8.0 * step + 1 })
    near(sum:item(), 3 * step)
  end
  equal(calls, 1)
  f(dl.ones{ 3 }, dl.ones{ 3 })
  equal(calls, 2)
end)

test("variables and optimizers change in each call", function()
  local w = dl.Variable(dl.tensor{ 1.0, -2.0 })
  local optimizer = O.Adam{ 0.1 }
  local calls = 0
  local step = dl.compile(function(x)
    calls = calls + 1
    local loss, gradients = dl.value_and_grad(function() return ((w * x) ^ 2):sum() end, { w })
    optimizer:apply(gradients, { w })
    return loss
  end)
  -- The same without compiling.
  local v, other = dl.Variable(dl.tensor{ 1.0, -2.0 }), O.Adam{ 0.1 }
  for k = 1, 5 do
    local x = dl.tensor{ 0.5 * k, 1.0 }
    local loss = step(x)
    local wanted, gradients = dl.value_and_grad(function() return ((v * x) ^ 2):sum() end, { v })
    other:apply(gradients, { v })
    near(loss:item(), wanted:item())
    near(w:totable(), v:totable())
  end
  equal(calls, 1)
  equal(optimizer.iterations, 5)
  optimizer.learning_rate = 0.0
  local before = w:totable()
  step(dl.tensor{ 1.0, 1.0 })
  near(w:totable(), before)
  equal(calls, 1)
end)

test("a generator and a critic with two optimizers", function()
  dl.set_random_seed(5)
  local generator = dl.Sequential{ L.Input{ 2 }, L.Dense{ 8, activation = "tanh" }, L.Dense{ 1 } }
  local critic = dl.Sequential{ L.Input{ 1 }, L.Dense{ 16, activation = "leaky_relu" }, L.Dense{ 1 } }
  local for_generator, for_critic = O.Adam{ 0.01, beta_1 = 0.5 }, O.Adam{ 0.01, beta_1 = 0.5 }
  local entropy = dl.losses.BinaryCrossentropy{ from_logits = true }
  local mean = dl.metrics.Mean()
  local calls = 0
  local step = dl.compile(function(real, noise)
    calls = calls + 1
    local yes, no = dl.ones{ #real, 1 }, dl.zeros{ #real, 1 }
    local critic_loss, gradients = dl.value_and_grad(function()
      return entropy(yes, critic(real)) + entropy(no, critic(generator(noise)))
    end, critic.trainable_variables)
    for_critic:apply(gradients, critic.trainable_variables)
    local loss
    loss, gradients = dl.value_and_grad(function() return entropy(yes, critic(generator(noise))) end,
      generator.trainable_variables)
    for_generator:apply(gradients, generator.trainable_variables)
    mean:update(loss)
    return critic_loss, loss
  end)
  local function made() return generator:predict(dl.randn{ 256, 2 }):mean():item() end
  local first = made()
  for _ = 1, 300 do
    local critic_loss, loss = step(dl.randn{ 32, 1 } * 0.3 + 2.0, dl.randn{ 32, 2 })
    assert(critic_loss:item() == critic_loss:item() and loss:item() > 0)
  end
  equal(calls, 1)
  equal(for_critic.iterations, 300)
  equal(for_generator.iterations, 300)
  assert(mean:result() > 0)
  -- What is made has come to where the real samples are.
  assert(math.abs(made() - 2) < math.abs(first - 2) and math.abs(made() - 2) < 1, made())
end)

test("what cannot be is refused in words", function()
  raises("dl.compile takes a function", dl.compile, 3)
  raises("returned table", function() dl.compile(function() return {} end)(dl.ones{ 1 }) end)
  raises("my own words", function() dl.compile(function() error "my own words" end)(dl.ones{ 1 }) end)
  raises("dl[E_ARGUMENT]", function() dl.compile(function(x) return x end)(nil) end)
  raises("dl[E_STATE]", function() dl.compile(function(x) return dl.tensor(x:item()) end)(dl.ones{ 1 }) end)
  -- A failing run leaves everything usable.
  local f = dl.compile(function(x) return x + 1 end)
  raises("dl[E_", f, "text")
  equal(f(dl.ones{ 1 }):totable(), { 2.0 })
end)

T.finish()
