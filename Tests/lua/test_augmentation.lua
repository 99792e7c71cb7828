-- Layers that change pictures at random.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local function pictures(n, height, width, channels)
  local values, state = {}, 1
  for place = 1, n * height * width * channels do
    state = (state * 48271) % 2147483647
    values[place] = state % 1000 / 1000
  end
  return dl.tensor(values):reshape{ n, height, width, channels }
end

local unit = { 0, 1 }
local all = {
  RandomFlip = {}, RandomRotation = { factor = 0.2 }, RandomTranslation = { height_factor = 0.3, width_factor = 0.2 },
  RandomZoom = { height_factor = 0.3 }, RandomShear = { x_factor = 0.3, y_factor = 0.2 },
  RandomBrightness = { factor = 0.4, value_range = unit }, RandomContrast = { factor = 0.8, value_range = unit },
  RandomHue = { factor = 0.5, value_range = unit }, RandomSaturation = { factor = { 0.1, 0.9 }, value_range = unit },
  RandomGrayscale = { factor = 0.5 }, RandomErasing = { factor = { 1, 1 }, value_range = unit },
}

test("while training only, seeded, another draw for every call", function()
  local x = pictures(8, 6, 5, 3)
  for name, options in pairs(all) do
    options.seed, options.data_format = 7, nil
    local first, second = L[name](options), L[name](options)
    near(first(x):totable(), x:totable())
    local a, b = first(x, { training = true }), first(x, { training = true })
    local again = second(x, { training = true })
    equal(a:totable(), again:totable(), name)
    equal(a.shape, x.shape)
    assert(a:ne(x):any():item(), name .. " changes nothing")
    assert(a:ne(b):any():item(), name .. " draws the same twice")
    assert(a:isfinite():all():item(), name)
    -- One picture, and channels in front.
    equal(first(x[1], { training = true }).shape, { 6, 5, 3 })
    options.data_format = "channels_first"
    local turned = L[name](options)(x:transpose{ 1, 4, 2, 3 }, { training = true })
    if name ~= "RandomErasing" then near(turned:transpose{ 1, 3, 4, 2 }:totable(), a:totable(), 1e-4) end
  end
end)

test("what comes out", function()
  local x = pictures(64, 4, 4, 3)
  local flipped = L.RandomFlip{ "horizontal", seed = 1 }(x, { training = true })
  local mirrored, count = x:flip(3), 0
  for place = 1, 64 do
    local kept, turned = flipped[place]:eq(x[place]):all():item(), flipped[place]:eq(mirrored[place]):all():item()
    assert(kept or turned)
    if turned then count = count + 1 end
  end
  assert(count > 16 and count < 48, count)

  -- Moved by whole elements: a constant border comes in.
  local moved = L.RandomTranslation{ { 0.5, 0.5 }, { 0, 0 }, fill_mode = "constant", fill_value = -1 }(x, { training = true })
  near(moved[1][3]:totable(), x[1][1]:totable())
  near(moved[1][1]:totable(), { { -1, -1, -1 }, { -1, -1, -1 }, { -1, -1, -1 }, { -1, -1, -1 } })
  -- Half a turn, exactly.
  local turned = L.RandomRotation{ { 0.5, 0.5 } }(x, { training = true })
  near(turned:totable(), x:flip{ 2, 3 }:totable(), 1e-4)
  near(L.RandomZoom{ { 0, 0 } }(x, { training = true }):totable(), x:totable(), 1e-5)

  local grey = L.RandomGrayscale{ factor = 1 }(x, { training = true })
  near(grey[1][1][1]:totable()[1], grey[1][1][1]:totable()[3])
  near(L.RandomHue{ { 0, 0 }, value_range = unit }(x, { training = true }):totable(), x:totable(), 1e-4)
  near(L.RandomSaturation{ { 0.5, 0.5 }, value_range = unit }(x, { training = true }):totable(), x:totable(), 1e-3)

  local brighter = L.RandomBrightness{ 0.5, value_range = unit }(x, { training = true })
  assert(brighter:max():item() <= 1 and brighter:min():item() >= 0)
  local difference = L.RandomBrightness{ { 0.25, 0.25 }, value_range = { -10, 10 } }(x, { training = true }) - x
  near(difference:mean():item(), 5, 1e-4)

  local erased = L.RandomErasing{ factor = { 1, 1 }, scale = { 0.25, 0.25 }, fill_value = 0, value_range = unit }(
    dl.ones(64, 16, 16, 1), { training = true })
  near(1 - erased:mean():item(), 0.25, 0.02)
end)

test("parts of pictures", function()
  local x = pictures(2, 6, 6, 1)
  local crop = L.RandomCrop{ 3, 2, seed = 2 }
  local places = {}
  for _ = 1, 60 do
    local y = crop(x, { training = true })
    equal(y.shape, { 2, 3, 2, 1 })
    local found
    for row = 1, 4 do
      for column = 1, 5 do
        local part = dl.ops.image.crop_images(x,
          { top_cropping = row - 1, left_cropping = column - 1, target_height = 3, target_width = 2 })
        if part:eq(y):all():item() then found = row * 10 + column end
      end
    end
    assert(found)
    places[found] = true
  end
  local count = 0
  for _ in pairs(places) do count = count + 1 end
  assert(count > 12, count)
  equal(crop(x).shape, { 2, 3, 2, 1 })
  equal(L.RandomCrop{ 8, 8 }(x, { training = true }).shape, { 2, 8, 8, 1 })
end)

test("mixtures of pictures and labels", function()
  local n = 256
  local labels = dl.ops.one_hot(dl.ops.arange(1, n + 1):to "i32", n + 1)
  -- Each picture has one value throughout, so that its parts are told apart.
  local x = dl.ops.arange(1, n + 1):to "f32":reshape{ n, 1, 1, 1 } * dl.ones(n, 8, 8, 1)
  local y, weights = L.MixUp{ 0.4, seed = 3 }({ x, labels }, { training = true })
  near(weights:sum(2):totable(), dl.ones(weights.shape[1]):totable(), 1e-4)
  -- The picture is the mean that the labels say.
  local values = dl.ops.arange(1, n + 2):to "f32"
  equal(weights.shape[2], n + 1)
  local expected = weights:matmul(values:reshape{ n + 1, 1 })
  near(y:mean{ 2, 3, 4 }:totable(), expected:reshape{ weights.shape[1] }:totable(), 1e-2)
  -- Beta(0.4, 0.4): mean 1/2, variance 1 / (4 (2 * 0.4 + 1)).
  local most = weights:max(2)
  assert(most:mean():item() > 0.75 and most:mean():item() < 0.95, most:mean():item())

  local cut, parts = L.CutMix{ { 1, 1 }, seed = 4 }({ x, labels }, { training = true })
  near(parts:sum(2):totable(), dl.ones(weights.shape[1]):totable(), 1e-4)
  assert(cut:ne(x):any():item())
  equal(L.MixUp{ 0.4 }(x, { training = true }).shape, x.shape)
  near((L.CutMix(){ x, labels }):totable(), x:totable())
  raises({ "dl[E_SHAPE]", "equally many" }, function() L.MixUp()({ x, dl.ones(3, 2) }, { training = true }) end)
  raises({ "dl[E_SHAPE]", "labels" }, function() L.CutMix()({ x, dl.ones(3) }, { training = true }) end)
end)

test("in a model", function()
  local model = dl.Sequential{
    L.Input{ 6, 6, 3 }, L.RandomFlip{ seed = 1 }, L.RandomRotation{ 0.1, seed = 2 },
    L.RandomContrast{ 0.2, seed = 3, value_range = unit },
    L.Conv2D{ 2, 3 }, L.GlobalAveragePooling2D(), L.Dense{ 1 },
  }
  model:compile{ optimizer = "sgd", loss = "mse" }
  local x = pictures(8, 6, 6, 3)
  local history = model:fit(x, dl.ones(8, 1), { epochs = 2, verbose = 0 })
  equal(#history.history.loss, 2)
  equal(model:predict(x):totable(), model:predict(x):totable())
end)

test("bad input", function()
  raises({ "dl[E_ARGUMENT]", "factor", "1.5" }, L.RandomRotation, { 1.5 })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomContrast, { -0.1 })
  raises({ "dl[E_ARGUMENT]", "height_factor" }, L.RandomZoom, { -1 })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomRotation, { { 0.1, 0.2, 0.3 } })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomHue, { "x" })
  raises({ "dl[E_ARGUMENT]", "value_range" }, L.RandomBrightness, { 0.1, value_range = { 1, 1 } })
  raises({ "dl[E_ARGUMENT]", "fill_value" }, L.RandomErasing, { fill_value = { 1, 2 } })
  raises({ "did you mean 'horizontal'" }, L.RandomFlip, { "horizontl" })
  raises({ "dl[E_SHAPE]", "four axes" }, L.RandomFlip(), dl.ones(2, 3))
  raises({ "dl[E_SHAPE]", "3 channels" }, L.RandomHue{ 0.1 }, dl.ones(1, 2, 2, 1), { training = true })
  raises({ "dl[E_ARGUMENT]" }, L.RandomCrop, { 0, 1 })
  raises({ "dl[E_" }, L.RandomCrop{ (1 << 31) - 1, 1 }, dl.ones(1, 2, 2, 1), { training = true })
end)

T.finish()
