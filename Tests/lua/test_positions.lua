-- Positions count from 1 in scripts: axes, indices and whatever operations give or take that says "which one".

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local ops = dl.ops

local function ints(values) return dl.tensor(values, "i32") end

test("results that are positions", function()
  local x = dl.tensor{ { 3, 1, 2 }, { 0, 5, 4 } }
  equal(ops.argmax(x, 2):totable(), { 1, 2 })
  equal(ops.argmin(x, -1):totable(), { 2, 1 })
  equal(ops.argmax(x):item(), 5)
  equal(ops.argsort(x, 2):totable(), { { 2, 3, 1 }, { 1, 3, 2 } })
  equal(ops.argpartition(x, 1, { axis = 2 }):totable()[1][1], 2)
  local _, places = ops.top_k(x, 2)
  equal(places:totable(), { { 1, 3 }, { 2, 3 } })
  equal(ops.nonzero(dl.tensor{ 0, 7, 0, 9 }):totable(), { 2, 4 })
  equal(ops.searchsorted(dl.tensor{ 10, 20, 30 }, dl.tensor{ 5, 20, 99 }):totable(), { 1, 2, 4 })
  equal(ops.digitize(dl.tensor{ 0.2, 6.4 }, dl.tensor{ 0, 1, 2.5, 4 }):totable(), { 2, 5 })
  local _, first, inverse = ops.unique(dl.tensor{ 3, 1, 3 })
  equal({ first:totable(), inverse:totable() }, { { 2, 1 }, { 2, 1, 2 } })
  local order = ops.random_permutation{ n = 4 }:totable()
  table.sort(order)
  equal(order, { 1, 2, 3, 4 })
  equal(dl.random.categorical(dl.tensor{ { 50, 0, 0 }, { 0, 0, 50 } }, 1, { seed = 1 }):totable(), { { 1 }, { 3 } })
end)

test("arguments that are positions", function()
  local x = dl.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }
  equal(ops.take(x, ints{ 3, 1, -1 }, 2):totable(), { { 3, 1, 3 }, { 6, 4, 6 } })
  equal(ops.take_along_axis(x, ints{ { 2 }, { 3 } }, 2):totable(), { { 2 }, { 6 } })
  equal(ops.one_hot(ints{ 1, 3 }, 3):totable(), { { 1, 0, 0 }, { 0, 0, 1 } })
  equal(ops.slice(x, { 2, 1 }, { 1, 2 }):totable(), { { 4, 5 } })
  equal(ops.slice_update(x, dl.tensor{ { 9 } }, { start_indices = { 1, 3 } }):totable()[1], { 1, 2, 9 })
  local parts = table.pack(ops.split(x, { 2 }, { axis = 2 }))
  -- A cut is no position: it says how many elements come before it.
  equal({ parts[1]:totable(), parts[2]:totable() }, { { { 1, 2 }, { 4, 5 } }, { { 3 }, { 6 } } })
  equal(ops.argpartition(dl.tensor{ 3, 1, 2 }, 3):totable()[3], 1)
  raises({ "dl[E_RANGE]", "position 0" }, ops.take, x, ints{ 0 }, 1)
end)

test("axes", function()
  local x = dl.arange(24):reshape{ 2, 3, 4 }
  local function shape(y) return y.shape end
  equal(shape(ops.sum(x, 1)), { 3, 4 })
  equal(shape(ops.sum(x, { 1, 3 })), { 3 })
  equal(shape(ops.max(x, -1)), { 2, 3 })
  equal(shape(ops.transpose(x, { 3, 1, 2 })), { 4, 2, 3 })
  equal(shape(ops.swapaxes(x, 1, 3)), { 4, 3, 2 })
  equal(shape(ops.moveaxis(x, 1, 3)), { 3, 4, 2 })
  equal(shape(ops.expand_dims(x, 2)), { 2, 1, 3, 4 })
  equal(shape(ops.concatenate({ x, x }, { axis = 3 })), { 2, 3, 8 })
  equal(shape(ops.stack({ x, x }, { axis = 1 })), { 2, 2, 3, 4 })
  equal(shape(ops["repeat"](x, 2, 2)), { 2, 6, 4 })
  equal(ops.cumsum(dl.tensor{ { 1, 2 }, { 3, 4 } }, 1):totable(), { { 1, 2 }, { 4, 6 } })
  equal(ops.flip(dl.tensor{ { 1, 2 }, { 3, 4 } }, 1):totable(), { { 3, 4 }, { 1, 2 } })
  equal(shape(ops.image.scale_and_translate(x:to "f32", { output_shape = { 2, 5, 4 }, scale = { 1 }, translation = { 0 },
    spatial_dims = { 2 }, method = "linear" })), { 2, 5, 4 })
  for _, call in ipairs{
    function() return ops.sum(x, 0) end, function() return ops.argmax(x, 0) end, function() return ops.argsort(x, 0) end,
    function() return ops.softmax(x:to "f32", 0) end, function() return ops.concatenate({ x, x }, { axis = 0 }) end,
    function() return ops.take(x, ints{ 1 }, 0) end, function() return ops.flip(x, 0) end,
  } do
    raises({ "dl[E_RANGE]", "count from 1" }, call)
  end
  raises({ "dl[E_RANGE]", "axis 3", "count from 0" }, ops.sum, x, 4)
end)

test("messages that give an axis by number say what it counts from", function()
  local x = dl.ones{ 2, 3 }
  raises({ "dl[E_", "count from 0" }, function() dl.layers.Normalization{ axis = 7 }:adapt(x) end)
  raises({ "dl[E_", "count from 0" }, dl.layers.Dot{ axes = 9 }, { x, x })
  raises({ "dl[E_", "count from 0" }, dl.layers.BatchNormalization{ axis = 5 }, x)
  local dense = dl.layers.Dense(3)
  dense(x)
  local message = raises("dl[E_", dense, dl.ones{ 2, 4 })
  assert(not message:find "count from", message)
end)

test("class labels", function()
  local scores = dl.tensor{ { 0.1, 0.2, 0.7 }, { 0.6, 0.3, 0.1 } }
  near(dl.losses.SparseCategoricalCrossentropy()(ints{ 3, 1 }, scores):item(), -(math.log(0.7) + math.log(0.6)) / 2, 1e-4)
  raises("label", dl.losses.SparseCategoricalCrossentropy(), ints{ 0, 1 }, scores)
  local accuracy = dl.metrics.SparseCategoricalAccuracy()
  accuracy:update_state(ints{ 3, 2 }, scores)
  near(accuracy:result(), 0.5)
end)

test("points and coordinates of pictures", function()
  local x = dl.arange(9):reshape{ 3, 3 }:to "f32"
  equal(ops.image.map_coordinates(x, { { 1, 3 }, { 1, 2 } }, { order = 1 }):totable(), { 1, 8 })
  local corners = { { 1, 1 }, { 3, 1 }, { 1, 3 }, { 3, 3 } }
  near(ops.image.perspective_transform(x:reshape{ 1, 3, 3, 1 }, corners, corners):totable(), x:reshape{ 1, 3, 3, 1 }:totable())
end)

T.finish()
