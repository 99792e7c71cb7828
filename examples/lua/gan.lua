-- A generative adversarial network (Goodfellow et al., 2014): one network draws points, the other tells them from points on
-- a ring; two optimizers, one compiled step.   dlua gan.lua [steps]

local dl  = require "dl"
local L, ops = dl.layers, dl.ops

dl.set_random_seed(4)
local steps, batch, latent = tonumber(arg[1]) or 3000, 128, 8

local generator = dl.Sequential{
  L.Input{ shape = { latent } },
  L.Dense{ 64, activation = "relu" }, L.Dense{ 64, activation = "relu" }, L.Dense{ 2 },
}
local discriminator = dl.Sequential{
  L.Input{ shape = { 2 } },
  L.Dense{ 64 }, L.LeakyReLU{ negative_slope = 0.2 }, L.Dense{ 64 }, L.LeakyReLU{ negative_slope = 0.2 }, L.Dense{ 1 },
}
local bce = dl.losses.BinaryCrossentropy{ from_logits = true }
local of_g = dl.optimizers.Adam{ learning_rate = 5e-4, beta_1 = 0.5 }
local of_d = dl.optimizers.Adam{ learning_rate = 1e-3, beta_1 = 0.5 }

-- Points on a ring of radius 1, 0.05 thick.
local function real()
  local angle  = dl.random.uniform({ batch, 1 }, { minval = 0, maxval = 2 * math.pi })
  local radius = dl.random.normal({ batch, 1 }, { mean = 1, stddev = 0.05 })
  return ops.concatenate({ radius * ops.cos(angle), radius * ops.sin(angle) }, 2)
end

local step = dl.compile(function(points, noise)
  local ones, zeros = ops.ones{ batch, 1 }, ops.zeros{ batch, 1 }
  local fake = generator(noise, { training = true })
  local d_loss, d_gradients = dl.value_and_grad(function()
    return bce(ones, discriminator(points)) + bce(zeros, discriminator(ops.stop_gradient(fake)))
  end, discriminator.trainable_variables)
  of_d:apply(d_gradients, discriminator.trainable_variables)
  -- The generator wants its points taken for real ones (the loss that does not saturate).
  local g_loss, g_gradients = dl.value_and_grad(function()
    return bce(ones, discriminator(generator(noise, { training = true })))
  end, generator.trainable_variables)
  of_g:apply(g_gradients, generator.trainable_variables)
  return d_loss, g_loss
end)

for i = 1, steps do
  local d_loss, g_loss = step(real(), dl.random.normal{ batch, latent })
  if i % 500 == 0 then
    io.write(("step %5d discriminator %.3f generator %.3f\n"):format(i, d_loss:item(), g_loss:item()))
  end
end

local points = generator:predict(dl.random.normal{ 1000, latent })
local radii  = ops.sqrt(ops.sum(ops.square(points), 2))
print(("radius of what it draws: mean %.3f deviation %.3f"):format(ops.mean(radii):item(), ops.std(radii):item()))
