-- Windows, rearrangement, attention, further operations on pictures, and random numbers with shapes of their own.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local ops, random = dl.ops, dl.random

test("blocks, windows and names of axes", function()
  local x = dl.arange(16):reshape{ 1, 4, 4, 1 }
  local deep = ops.space_to_depth(x, 2)
  equal(deep.shape, { 1, 2, 2, 4 })
  equal(deep:totable()[1][1][2], { 3, 4, 7, 8 })
  equal(ops.depth_to_space(deep, 2):totable(), x:totable())
  equal(ops.rearrange(x, "b (h u) (w v) c -> b h w (u v c)", { u = 2, v = 2 }):totable(), deep:totable())
  equal(x:rearrange("b h w c -> b c h w").shape, { 1, 1, 4, 4 })
  equal(ops.extract_sequences(dl.tensor{ 1, 2, 3, 4, 5 }, 3, 2):totable(), { { 1, 2, 3 }, { 3, 4, 5 } })
  local columns = ops.unfold(x:reshape{ 1, 1, 4, 4 }, 2, { stride = 2 })
  equal(columns.shape, { 1, 4, 4 })
  equal(ops.fold(columns, { 4, 4 }, 2, { stride = 2 }):totable(), x:reshape{ 1, 1, 4, 4 }:totable())
  raises({ "dl[E_SHAPE]", "multiples of block_size" }, ops.space_to_depth, x, 3)
  raises({ "dl[E_SHAPE]", "squared" }, ops.depth_to_space, x, 2)
  raises({ "dl[E_ARGUMENT]", "block_size" }, ops.space_to_depth, x, 1)
  raises({ "dl[E_SHAPE]", "window" }, ops.unfold, x:reshape{ 1, 1, 4, 4 }, 5)
  raises({ "dl[E_LIMIT]", "4096" }, ops.unfold, x:reshape{ 1, 1, 4, 4 }, 2000000000)
  raises("dl[E_", ops.fold, columns, { 2000000000, 2000000000 }, 2)
  raises({ "dl[E_SHAPE]", "windows" }, ops.fold, columns, { 4, 4 }, 2)
  raises({ "dl[E_SHAPE]", "sequence_length" }, ops.extract_sequences, dl.tensor{ 1 }, 2, 1)
  for _, pattern in ipairs{ "b h w c", "b h -> h b", "b h w c -> b h w", "b b w c -> b w c", "(b h w c -> b", "b (h (w)) c -> b",
    "... c -> c ...", "b h w) c -> b" } do
    raises({ "dl[E_", "rearrange" }, ops.rearrange, x, pattern)
  end
  raises({ "dl[E_ARGUMENT]", "all but one" }, ops.rearrange, x, "b (h u) w c -> b h u w c")
  raises({ "dl[E_SHAPE]", "cannot be" }, ops.rearrange, x, "b (h u) w c -> b h u w c", { u = 3 })
  raises({ "dl[E_ARGUMENT]", "axes_lengths" }, ops.rearrange, x, "b h w c -> b c h w", { z = 3 })
end)

test("rows of powers", function()
  near(ops.logspace(0, 3, 4):totable(), { 1, 10, 100, 1000 })
  near(ops.geomspace(1, 8, 4):totable(), { 1, 2, 4, 8 })
  raises({ "dl[E_ARGUMENT]", "one sign" }, ops.geomspace, -1, 8, 4)
  raises({ "dl[E_ARGUMENT]", "one sign" }, ops.geomspace, 0, 8, 4)
  raises("dl[E_", ops.logspace, 0, 1, -1)
end)

test("attention", function()
  dl.set_random_seed(2)
  local q, k = dl.randn{ 1, 3, 2, 4 }, dl.randn{ 1, 3, 2, 4 }
  local whole = ops.dot_product_attention(q, k, k)
  local causal = ops.dot_product_attention(q, k, k, { is_causal = true })
  local mask = ops.tril(dl.ones{ 3, 3 })
  near(causal:totable(), ops.dot_product_attention(q, k, k, { mask = mask }):totable())
  near(causal:totable()[1][1], k:totable()[1][1])
  near(ops.dot_product_attention(q, k, k, { bias = dl.zeros{ 3 } }):totable(), whole:totable())
  raises({ "dl[E_SHAPE]", "4 axes" }, ops.dot_product_attention, q[1], k, k)
  raises({ "dl[E_SHAPE]", "mask" }, ops.dot_product_attention, q, k, k, { mask = dl.ones{ 4, 3 } })
  raises({ "unknown option 'maks'", "mask" }, ops.dot_product_attention, q, k, k, { maks = mask })
  raises({ "dl[E_ARGUMENT]", "'value'" }, ops.dot_product_attention, q, k)
end)

test("pictures", function()
  local x = dl.uniform{ 2, 6, 5, 3 }
  equal(ops.image.sobel_edges(x).shape, { 2, 6, 5, 3, 2 })
  near(ops.image.ssim(x, x, { filter_size = 3 }):totable(), { 1, 1 })
  raises({ "dl[E_SHAPE]", "filter_size" }, ops.image.ssim, x, x)
  raises({ "dl[E_SHAPE]", "filter_size" }, ops.image.ssim, x, x[1], { filter_size = 3 })
  equal(ops.image.extract_patches_3d(dl.ones{ 1, 4, 4, 4, 2 }, 2).shape, { 1, 2, 2, 2, 16 })
  raises({ "dl[E_SHAPE]", "volumes" }, ops.image.extract_patches_3d, x[1], 2)
  local a = ops.image.elastic_transform(x, { alpha = 3, sigma = 1, seed = 4 })
  equal(a:totable(), ops.image.elastic_transform(x, { alpha = 3, sigma = 1, seed = 4 }):totable())
  near(ops.image.elastic_transform(x, { alpha = 0, sigma = 1 }):totable(), x:totable())
  raises({ "dl[E_ARGUMENT]", "sigma" }, ops.image.elastic_transform, x, { sigma = -1 })
  raises({ "dl[E_SHAPE]", "four points" }, ops.image.perspective_transform, x, { { 1, 1 } }, { { 1, 1 } })
  -- Points on one line have no map: everything is outside.
  local line = { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 4 } }
  local outside = ops.image.perspective_transform(dl.ones{ 2, 2, 1 }, line, line, { fill_value = 7 })
  equal(outside:totable(), { { { 7 }, { 7 } }, { { 7 }, { 7 } } })
  local function scaled(options)
    local all = { output_shape = { 2, 6, 5, 3 }, scale = { 1 }, translation = { 0 }, spatial_dims = { 2 }, method = "linear" }
    for name, value in pairs(options) do all[name] = value end
    return ops.image.scale_and_translate(x, all)
  end
  near(scaled{}:totable(), x:totable())
  raises({ "dl[E_ARGUMENT]", "a number for each" }, scaled, { scale = { 1, 1 } })
  raises({ "dl[E_SHAPE]", "output_shape" }, scaled, { output_shape = { 2, 6, 6, 3 } })
  raises("dl[E_", scaled, { scale = { 0 } })
  raises("dl[E_", scaled, { output_shape = { 2, 2000000000, 5, 3 } })
end)

test("gamma, beta and binomial numbers", function()
  local function facts(x) return x:mean():item(), x:var():item() end
  local n = { 20000 }
  for _, alpha in ipairs{ 0.5, 3, 50 } do
    local mean, variance = facts(random.gamma(n, alpha, { seed = 1 }))
    near(mean / alpha, 1, 0.05)
    near(variance / alpha, 1, 0.1)
  end
  local mean, variance = facts(random.beta(n, 2, 3, { seed = 1 }))
  near(mean, 0.4, 0.01)
  near(variance, 0.04, 0.005)
  for _, counts in ipairs{ 5, 1000 } do
    mean, variance = facts(random.binomial(n, counts, 0.3, { seed = 1 }))
    near(mean / counts, 0.3, 0.01)
    near(variance / (counts * 0.21), 1, 0.05)
  end
  near(random.binomial({ 2 }, dl.tensor{ 7, 9 }, dl.tensor{ 1, 0 }):totable(), { 7, 0 })
  equal(random.gamma({ 3 }, 2, { seed = 5 }):totable(), random.gamma({ 3 }, 2, { seed = 5 }):totable())
  equal(random.gamma({ 2 }, dl.tensor{ 1, 2 }, { dtype = "f64" }).dtype, "float64")
  raises({ "dl[E_ARGUMENT]", "alpha" }, random.gamma, { 2 }, -1)
  raises({ "dl[E_ARGUMENT]", "probabilities" }, random.binomial, { 2 }, 3, 1.5)
  raises({ "dl[E_ARGUMENT]", "'beta' of beta is missing" }, random.beta, { 2 }, 3)
  raises({ "dl[E_SHAPE]", "(2,)" }, random.gamma, { 3 }, dl.tensor{ 1, 2 })
  raises({ "dl[E_DTYPE]", "float" }, random.gamma, { 3 }, 1, { dtype = "i32" })
end)

T.finish()
