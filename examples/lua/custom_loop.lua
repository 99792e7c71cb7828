-- Training by hand: a batch, forward, gradients, update. Then gradients of gradients.   dlua custom_loop.lua [epochs]

local dl  = require "dl"
local ops = dl.ops

dl.set_random_seed(7)

do -- f(x, y, z) = (x + y) z at x = -2, y = 5, z = -4
  local x, y, z = dl.Variable(-2), dl.Variable(5), dl.Variable(-4)
  local tape <close> = dl.GradientTape()
  local q = x + y
  local f = q * z
  local df = tape:gradient(f, { x = x, y = y, z = z, q = q })
  print(f:item(), df.x:item(), df.y:item(), df.z:item(), df.q:item())  --> -12.0 -4.0 -4.0 3.0 -4.0
end

local fm = dl.datasets.fashion_mnist{ channels = true } or dl.datasets.shapes{ channels = true }
local train = os.getenv "DL_EXAMPLE_QUICK" and fm.train:take(2000) or fm.train

local model = dl.applications.LeNet5{ classes = 10, classifier_activation = false }    -- false: logits
local xent  = dl.losses.SparseCategoricalCrossentropy{ from_logits = true }
local sgd   = dl.optimizers.SGD{ learning_rate = 0.05, momentum = 0.9 }
local acc   = dl.metrics.SparseCategoricalAccuracy()
local vars  = model.trainable_variables

for epoch = 1, tonumber(arg[1]) or 1 do
  acc:reset()
  for step, x, y in train:batches{ size = 64, shuffle = true, seed = epoch } do        -- 1. get a batch
    local tape <close> = dl.GradientTape()
    local logits = model(x, { training = true })                                       -- 2. forward, the loss
    local loss   = xent(y, logits)
    local grads  = tape:gradient(loss, vars)                                           -- 3. back
    grads = ops.clip_by_global_norm(grads, 1.0)
    sgd:apply(grads, vars)                                                             -- 4. update the weights
    acc:update(y, logits)
    if step % 100 == 0 then
      io.write(("epoch %d step %4d loss %.4f accuracy %.4f\n"):format(epoch, step, loss:item(), acc:result()))
    end
  end                                  -- the tape and what it remembers are freed here, not by the collector
  print(("epoch %d accuracy %.4f"):format(epoch, acc:result()))
end

-- A gradient penalty: how much does the answer change with the pixels? It is differentiated through a gradient.
local x0 = fm.test.x:slice{ { 1, 8 } }
local penalty, g = dl.value_and_grad(function()
  local dx = dl.grad(function(v) return model(v):sum() end)(x0)
  return (dx ^ 2):sum({ 2, 3, 4 }):mean()
end, vars)
print("penalty", penalty:item(), "variables with a gradient:", #g)
