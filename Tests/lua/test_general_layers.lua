-- Normalisation, losses and metrics added in calls, activity regularizers, calls with named tensors.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

test("layer normalization", function()
  local y = L.LayerNormalization{ epsilon = 0 }(dl.tensor{ { 1, 2, 3 }, { 10, 10, 40 } })
  near(y:totable(), { { -1.2247449, 0, 1.2247449 }, { -0.70710678, -0.70710678, 1.4142136 } }, 1e-5)
  -- Axes count from 1: over everything but the batch.
  local z = L.LayerNormalization{ axis = { 2, 3 } }
  equal(z(dl.randn(4, 3, 5)).shape, { 4, 3, 5 })
  equal(z.gamma.shape, { 3, 5 })
  raises({ "dl[E_SHAPE]", "axis" }, L.LayerNormalization{ axis = 4 }, dl.ones(2, 3))
  raises({ "dl[E_SHAPE]", "axis" }, L.LayerNormalization{ axis = { 2, 2 } }, dl.ones(2, 3))
  raises({ "dl[E_RANGE]", "count from 1" }, L.LayerNormalization, { axis = 0 })
  raises({ "dl[E_ARGUMENT]", "epsilon" }, L.LayerNormalization, { epsilon = -1 })
  raises({ "dl[E_SHAPE]", "built for" }, z, dl.ones(4, 3, 6))
end)

test("other normalizations", function()
  near(L.RMSNormalization{ epsilon = 0 }(dl.tensor{ { 3, 4 } }):totable(), { { 0.8485281, 1.1313708 } }, 1e-5)
  near(L.UnitNormalization()(dl.tensor{ { 3, 4 }, { 0, 0 } }):totable(), { { 0.6, 0.8 }, { 0, 0 } }, 1e-6)
  equal(L.GroupNormalization{ groups = 2 }(dl.randn(2, 3, 3, 4)).shape, { 2, 3, 3, 4 })
  raises({ "dl[E_SHAPE]", "multiple of 'groups'", "groups 3" }, L.GroupNormalization{ groups = 3 }, dl.ones(2, 4))
  raises({ "dl[E_ARGUMENT]", "groups" }, L.GroupNormalization, { groups = 0 })
  raises({ "dl[E_ARGUMENT]", "groups" }, L.GroupNormalization, { groups = -2 })
  raises({ "dl[E_ARGUMENT]", "kernel" }, L.SpectralNormalization{ L.Flatten() }, dl.ones(2, 4))
  raises("dl[E_", L.SpectralNormalization, {})
end)

test("normalization adapts", function()
  local layer = L.Normalization()
  layer:adapt{ dl.tensor{ { 1, 10 }, { 3, 30 } }, dl.tensor{ { 5, 20 } } }
  near(layer.weights[1]:totable(), { 3, 20 }, 1e-5)
  near(layer.weights[2]:totable(), { 8 / 3, 200 / 3 }, 1e-4)
  near(layer(dl.tensor{ { 3, 20 } }):totable(), { { 0, 0 } }, 1e-5)
  local whole = L.Normalization{ axis = false }
  whole:adapt(dl.tensor{ { 1, 3 }, { 5, 7 } })
  near(whole(dl.tensor{ { 4, 4 } }):totable(), { { 0, 0 } }, 1e-5)
  near(L.Normalization{ mean = 2, variance = 4, invert = true }(dl.tensor{ { 1 } }):totable(), { { 4 } }, 1e-5)
  raises({ "dl[E_ARGUMENT]", "together" }, L.Normalization, { mean = 2 })
  raises({ "dl[E_SHAPE]", "one shape" }, L.Normalization, { mean = { 1, 2 }, variance = { 1 } })
  raises({ "dl[E_ARGUMENT]", "variance" }, L.Normalization, { mean = { 1, 2 }, variance = { 1, -1 } })
  raises({ "dl[E_ARGUMENT]", "lists of equal length" }, L.Normalization, { mean = { { 1, 2 }, { 3 } }, variance = 1 })
  raises({ "dl[E_STATE]", "given" }, function() L.Normalization{ mean = 2, variance = 4 }:adapt(dl.ones(2, 2)) end)
  raises({ "dl[E_UNSUPPORTED]", "Dense" }, function() L.Dense{ 2 }:adapt(dl.ones(2, 2)) end)
  raises("dl[E_", function() L.Normalization():adapt{} end)
  raises("dl[E_SHAPE]", function() L.Normalization():adapt(dl.zeros(0, 3)) end)
end)

test("spectral normalization", function()
  local layer = L.SpectralNormalization{ L.Dense{ 3, use_bias = false }, power_iterations = 50 }
  local x = dl.eye(4)
  layer(x, { training = true })
  local y = layer(x)
  -- The largest singular value is 1: the largest eigenvalue of y'y, by iteration.
  local square = dl.ops.matmul(dl.ops.transpose(y), y)
  local v = dl.ones(3, 1)
  for _ = 1, 100 do
    v = dl.ops.matmul(square, v)
    v = v / dl.ops.sqrt(dl.ops.sum(v * v))
  end
  near(dl.ops.sum(v * dl.ops.matmul(square, v)):item(), 1, 1e-3)
end)

test("losses that layers add", function()
  local Sparse = L.Layer:extend("SparseForTest", {
    call = function(self, x)
      self:add_loss(dl.ops.sum(x) * 0.5)
      self:add_metric(dl.ops.mean(x), "activity")
      return x
    end,
  })
  local layer = Sparse()
  layer(dl.tensor{ 1, 2, 3 })
  equal(#layer.losses, 1)
  near(layer.losses[1]:item(), 3)
  layer(dl.tensor{ 1 })
  near(layer.losses[1]:item(), 0.5)
  raises({ "dl[E_STATE]", "add_loss" }, function() layer:add_loss(1) end)
  raises({ "dl[E_STATE]", "add_metric" }, function() layer:add_metric(1, "m") end)

  local model = dl.Sequential{ L.Input{ 3 }, Sparse(), L.Dense{ 1, kernel_regularizer = dl.regularizers.L2{ 0.1 },
    kernel_initializer = "ones", activity_regularizer = dl.regularizers.L1{ 0.25 } } }
  equal(#model.losses, 1) -- shapes alone add nothing
  local x = dl.tensor{ { 1, 2, 3 }, { 1, 1, 1 } }
  model(x)
  local losses = model.losses
  equal(#losses, 3)
  near(losses[1]:item(), 4.5)
  near(losses[2]:item(), 0.25 * 9 / 2, 1e-6)
  near(losses[3]:item(), 0.3, 1e-6)
  -- The same numbers train, compiled and not.
  for _, eager in ipairs{ true, false } do
    model:compile{ optimizer = "sgd", loss = "mse", run_eagerly = eager }
    local result = model:evaluate(x, dl.tensor{ { 6 }, { 3 } }, { batch_size = 2, verbose = 0 })
    near(type(result) == "table" and (result.loss or result[1]) or result, 4.5 + 0.25 * 9 / 2 + 0.3, 1e-5)
  end
end)

test("activity regularizers of the course", function()
  local layer = L.Dense{ 2, activation = "sigmoid", kernel_initializer = "zeros", activity_regularizer =
    dl.regularizers.KLSparsity{ rho = 0.05, weight = 3 } }
  layer(dl.ones(4, 3))
  local wanted = 2 * (0.05 * math.log(0.05 / 0.5) + 0.95 * math.log(0.95 / 0.5)) * 3
  near(layer.losses[1]:item(), wanted, 1e-5)

  -- Linear: the squared Frobenius norm of the kernel, whatever the input; a reshape forces the general way.
  local kernel = { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  local contractive = L.Dense{ 2, activity_regularizer = dl.regularizers.Contractive{ weight = 0.5 } }
  contractive:build{ false, 3 }
  contractive:set_weights{ dl.tensor(kernel), dl.zeros(2) }
  contractive(dl.randn(4, 3))
  near(contractive.losses[1]:item(), 0.5 * 91, 1e-3)
  local general = dl.Sequential{ L.Input{ 3 }, L.Dense{ 2 } }
  local inner = L.Dense{ 2, activation = "softmax", activity_regularizer = "contractive" }
  inner:build{ false, 3 }
  inner:set_weights{ dl.zeros(3, 2) + 1, dl.zeros(2) }
  inner(dl.randn(4, 3))
  near(inner.losses[1]:item(), 0, 1e-6)
  -- tanh' = 1 - tanh^2, by both ways.
  local fast = L.Dense{ 2, activation = "tanh", activity_regularizer = dl.regularizers.Contractive{ weight = 1 } }
  fast:build{ false, 3 }
  fast:set_weights{ dl.tensor(kernel) * 0.1, dl.zeros(2) }
  local x = dl.randn(5, 3)
  local y = fast(x)
  local slopes = dl.ops.square(1 - y * y)
  local columns = dl.ops.sum(dl.ops.square(dl.tensor(kernel) * 0.1), { axis = 1 })
  near(fast.losses[1]:item(), dl.ops.sum(slopes * columns):item() / 5, 1e-4)
  -- The penalty has gradients of its own.
  local tape <close> = dl.GradientTape()
  fast(x)
  local gradients = tape:gradient(fast.losses[1], fast.trainable_weights)
  assert(dl.ops.sum(dl.ops.abs(gradients[1])):item() > 0)
  raises({ "dl[E_UNSUPPORTED]", "activity_regularizer" }, function()
    local wrong = L.Dense{ 2, kernel_regularizer = "contractive" }
    wrong(dl.ones(1, 2))
    return wrong.losses
  end)
  raises({ "dl[E_ARGUMENT]", "rho" }, dl.regularizers.KLSparsity, { rho = 1.5 })
  raises({ "activity_regularizer", "did you mean" }, L.Dense, { 2, activity_regularizer = "contractve" })
  equal(L.Flatten{ activity_regularizer = "l1" }:get_config().activity_regularizer, "l1")
  equal(L.Flatten():get_config().activity_regularizer, nil)
  assert(general)
end)

test("shapes, copies and names", function()
  local layer = L.Dense{ 4 }
  equal(layer:compute_output_shape{ false, 3 }, { false, 4 })
  equal(layer:compute_output_shape{ 2, 3 }, { 2, 4 })
  equal(L.Concatenate():compute_output_shape{ { false, 3 }, { false, 5 } }, { false, 8 })
  raises("dl[E_SHAPE]", function() L.Dense{ 4 }:compute_output_shape{ 3 } end)
  raises("dl[E_ARGUMENT]", function() L.Dense{ 4 }:compute_output_shape(3) end)
  raises("dl[E_ARGUMENT]", function() L.Dense{ 4 }:compute_output_shape{ "x" } end)
  local model = dl.Sequential{ L.Input{ 3 }, L.Dense{ 2, name = "d" } }
  local copy = dl.clone_model(model)
  equal(copy:get_layer("d"):count_params(), 8)
  assert(copy:get_layer("d").kernel ~= model:get_layer("d").kernel)
  raises("dl[E_ARGUMENT]", dl.clone_model, 3)
end)

test("calls with names", function()
  local layer = L.Dense{ 2 }
  raises({ "dl[E_ARGUMENT]", "unknown option 'attention_mask'" }, layer, dl.ones(1, 2), { attention_mask = dl.ones(1, 2) })
  raises({ "dl[E_ARGUMENT]", "trainin", "did you mean 'training'" }, layer, dl.ones(1, 2), { trainin = true })
  raises({ "dl[E_ARGUMENT]" }, layer, dl.ones(1, 2), { training = 3 })
  raises({ "dl[E_ARGUMENT]" }, layer, dl.ones(1, 2), 3)
end)

T.finish()
