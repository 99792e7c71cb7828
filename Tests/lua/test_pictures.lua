-- Pictures in files: reading, writing, sizes; layers that change them.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L, utils = dl.layers, dl.utils
local files = (arg[0]:match "^(.*/)" or "./") .. "../fixtures/pictures/"

test("load_img reads every kind in every mode", function()
  for _, name in ipairs{ "rgb.png", "rgb.bmp", "rgb.ppm", "palette.png", "rgb.jpg", "progressive.jpg" } do
    equal(utils.load_img(files .. name).shape, { 13, 17, 3 }, name)
    equal(utils.load_img(files .. name, { color_mode = "grayscale" }).shape, { 13, 17, 1 }, name)
    equal(utils.load_img{ path = files .. name, color_mode = "rgba" }.shape, { 13, 17, 4 }, name)
  end
  equal(utils.load_img(files .. "rgb.png"):totable(), utils.load_img(files .. "rgb.bmp"):totable())
  equal(utils.load_img(files .. "rgb.png"):totable(), utils.load_img(files .. "rgb.ppm"):totable())
  equal(utils.load_img(files .. "deep.png", { color_mode = "grayscale" }).dtype, "int32")
  equal(utils.load_img(files .. "deep.png").dtype, "uint8")
  equal(utils.load_img(files .. "rgb.png", { target_size = { 4, 5 }, interpolation = "bilinear" }).shape, { 4, 5, 3 })
  equal(utils.load_img(files .. "rgb.png", { target_size = 6, keep_aspect_ratio = true }).shape, { 6, 6, 3 })
  local file <close> = assert(io.open(files .. "rgb.png", "rb"))
  equal(utils.load_img{ bytes = file:read "a" }:totable(), utils.load_img(files .. "rgb.png"):totable())
  equal(dl.preprocessing.image.load_img, utils.load_img)
end)

test("what is wrong with a file comes as nil and a message, what is wrong with a call is raised", function()
  local img, message, code = utils.load_img(files .. "none.png")
  equal({ img, code }, { nil, "E_NOT_FOUND" })
  assert(message:find("none.png", 1, true), message)
  img, message, code = utils.load_img{ bytes = "\x89PNG\r\n\x1a\nxxxxxxxxxxxxx" }
  equal({ img, code }, { nil, "E_FORMAT" })
  assert(message:find("PNG: ", 1, true), message)
  raises({ "dl[E_ARGUMENT]", "color_mode", "did you mean 'rgba'" }, utils.load_img, files .. "rgb.png", { color_mode = "rgbaa" })
  raises({ "dl[E_ARGUMENT]", "target_size" }, utils.load_img, files .. "rgb.png", { target_size = { 0, 4 } })
  raises({ "dl[E_ARGUMENT]", "target_size" }, utils.load_img, files .. "rgb.png", { target_size = { 1 << 30, 1 << 30 } })
  raises({ "dl[E_ARGUMENT]", "did you mean 'interpolation'" }, utils.load_img, files .. "rgb.png", { interpolatoin = "box" })
  raises({ "dl[E_ARGUMENT]" }, utils.load_img)
  raises({ "dl[E_ARGUMENT]", "load_img says" }, utils.img_to_array, nil)
  raises({ "dl[E_NOT_FOUND]", "did you mean 'load_img'" }, function() return dl.preprocessing.image.load_image end)
end)

test("numbers and pictures", function()
  local img = utils.load_img(files .. "rgba.png", { color_mode = "rgb" })
  local x = utils.img_to_array(img)
  equal({ x.dtype, x.shape }, { "float32", { 12, 10, 3 } })
  equal(x:to("u8"):totable(), img:totable())
  equal(utils.img_to_array(img, { data_format = "channels_first" }).shape, { 3, 12, 10 })
  equal(utils.img_to_array(dl.ones(2, 3)).shape, { 2, 3, 1 })
  equal(utils.array_to_img(x, { scale = false }):totable(), img:totable())
  local ramp = dl.tensor{ { { -1.0 }, { 0.0 }, { 3.0 } } }
  equal(utils.array_to_img(ramp):totable(), { { { 0 }, { 63 }, { 255 } } })
  equal(utils.array_to_img(ramp * 100, { scale = false }):totable(), { { { 0 }, { 0 }, { 300 } } })
  equal(utils.array_to_img(ramp * 100, { scale = false }).dtype, "int32")
  equal(utils.array_to_img(dl.zeros(2, 2, 3)):totable()[1][1], { 0, 0, 0 })
  equal(utils.array_to_img(dl.ones(3, 4, 5), { data_format = "channels_first" }).shape, { 4, 5, 3 })
  raises({ "dl[E_SHAPE]", "1, 3 or 4 channels" }, utils.array_to_img, dl.ones(2, 2, 5))
  raises({ "dl[E_SHAPE]" }, utils.array_to_img, dl.ones(2, 2))
  raises({ "dl[E_SHAPE]" }, utils.img_to_array, dl.ones(2))
  raises({ "dl[E_ARGUMENT]", "data_format" }, utils.img_to_array, img, { data_format = "last" })
end)

test("save_img writes what load_img reads", function()
  for _, ending in ipairs{ ".png", ".ppm" } do
    local name = T.temporary(ending)
    local img = utils.load_img(files .. "rgb.png")
    equal(utils.save_img(name, img, { scale = false }), true)
    equal(utils.load_img(name):totable(), img:totable(), ending)
    os.remove(name)
  end
  local name = T.temporary ".jpg"
  equal(utils.save_img(name, utils.load_img(files .. "rgba.png", { color_mode = "rgba" }), { quality = 100 }), true)
  equal(utils.load_img(name).shape, { 12, 10, 3 })
  os.remove(name)
  name = T.temporary ""
  equal(utils.save_img(name, dl.rand(4, 4, 1), { file_format = "PNG" }), true)
  equal(utils.load_img(name, { color_mode = "grayscale" }).shape, { 4, 4, 1 })
  os.remove(name)
  equal((utils.save_img("/nonexistent/folder/a.png", dl.ones(2, 2, 3))), nil)
  raises({ "dl[E_ARGUMENT]", "must end in .png" }, utils.save_img, "a.gif", dl.ones(2, 2, 3))
  raises({ "dl[E_ARGUMENT]", "file name" }, utils.save_img, dl.ones(2, 2, 3), "a.png")
  raises({ "dl[E_ARGUMENT]", "quality" }, utils.save_img, "a.jpg", dl.ones(2, 2, 3), { quality = 0 })
end)

test("smart_resize cuts to the proportions before it resizes", function()
  local x = dl.arange(0, 23):to("f32"):reshape{ 4, 6, 1 }
  near(utils.smart_resize(x, { 2, 2 }, { interpolation = "nearest" }):reshape{ -1 }:totable(), { 8, 10, 20, 22 })
  equal(utils.smart_resize(dl.ones(2, 5, 9, 3), 4).shape, { 2, 4, 4, 3 })
  equal(utils.smart_resize(dl.ones(3, 5, 9), { 4, 2 }, { data_format = "channels_first" }).shape, { 3, 4, 2 })
  raises({ "dl[E_SHAPE]" }, utils.smart_resize, dl.ones(2, 2), { 1, 1 })
  raises({ "dl[E_ARGUMENT]", "size" }, utils.smart_resize, dl.ones(2, 2, 1), { 1 })
end)

-- ---- Layers --------------------------------------------------------------------------------------------------------

local unit = { 0, 1 }
local random = {
  Solarization = { 0.4, 0.8 }, RandomPosterization = { { 1, 7 } }, RandomGaussianBlur = { 0.7 }, RandomSharpness = { { 0, 1 } },
  RandomColorDegeneration = { 1 }, RandomInvert = { 0.5 }, RandAugment = {},
  RandomColorJitter = { brightness_factor = 0.4, contrast_factor = 0.5, saturation_factor = 0.9, hue_factor = 0.3 },
}

test("while training only, seeded, within the range of values, another draw for every call", function()
  local x = dl.random.uniform({ 8, 6, 5, 3 }, { seed = 3 })
  for name, options in pairs(random) do
    options.seed, options.value_range = 7, unit
    local one, other = L[name](options), L[name](options)
    equal(one(x, { training = false }):totable(), x:totable(), name)
    local a, b = one(x, { training = true }), other(x, { training = true })
    equal(a.shape, { 8, 6, 5, 3 }, name)
    equal(a:totable(), b:totable(), name)
    equal(dl.ops.all(dl.ops.isfinite(a)):item(), true, name)
    if name ~= "RandAugment" then
      assert(a:min():item() >= 0 and a:max():item() <= 1, name)
      assert(dl.ops.max(dl.ops.abs(a - x)):item() > 0, name)
      assert(dl.ops.max(dl.ops.abs(a - one(x, { training = true }))):item() > 0, name)
    end
    equal(one(x[1], { training = true }).shape, { 6, 5, 3 }, name)
    equal(L[name](one:get_config()):get_config(), one:get_config(), name)
  end
end)

test("channels may come first", function()
  local x = dl.random.uniform({ 4, 6, 5, 3 }, { seed = 3 })
  local turned = x:transpose{ 1, 4, 2, 3 }
  for name, options in pairs(random) do
    options.seed, options.data_format = 7, nil
    local last = L[name](options)(x, { training = true })
    options.data_format = "channels_first"
    local first = L[name](options)(turned, { training = true })
    options.data_format = nil
    -- Windows are summed in the order of axes.
    near(first:transpose{ 1, 3, 4, 2 }:totable(), last:totable(), 1e-4)
  end
  near(L.AutoContrast{ unit, "channels_first" }(turned):transpose{ 1, 3, 4, 2 }:totable(), L.AutoContrast{ unit }(x):totable())
end)

test("nothing happens where a factor says so", function()
  local x = dl.random.uniform({ 2, 6, 5, 3 }, { seed = 3 })
  for name, options in pairs{
    RandomPosterization = { { 8, 8 } }, RandomGaussianBlur = { { 0, 0 } }, RandomSharpness = { { 0.5, 0.5 } },
    RandomColorDegeneration = { { 0, 0 } }, RandomInvert = { { 0, 0 } }, RandomColorJitter = {}, RandAugment = { num_ops = 0 },
  } do
    options.value_range = { 0, 255 }
    local whole = dl.ops.floor(x * 255)
    near(L[name](options)(whole, { training = true }):totable(), whole:totable(), 1e-6)
  end
end)

test("pipelines pass training on and keep their layers", function()
  local pipeline = L.Pipeline{ layers = { L.RandomInvert{ { 1, 1 }, value_range = unit }, L.Rescaling{ 2 } } }
  local x = dl.ones(1, 2, 2, 3)
  equal(pipeline(x, { training = true }):max():item(), 0)
  equal(pipeline(x):max():item(), 2)
  local again = L.Pipeline(pipeline:get_config())
  equal(again(x):max():item(), 2)
  local model = dl.Sequential{ L.Input{ 2, 2, 3 }, L.Pipeline{ layers = { L.Flatten(), L.Dense{ 4 } } }, L.Dense{ 1 } }
  equal(model:predict(x).shape, { 1, 1 })
  equal(model:count_params(), 12 * 4 + 4 + 4 + 1)
  raises({ "dl[E_ARGUMENT]", "at least one layer" }, L.Pipeline, { layers = {} })
end)

test("in compiled training", function()
  local model = dl.Sequential{
    L.Input{ 6, 6, 3 }, L.RandAugment{ seed = 1, value_range = unit },
    L.RandomColorJitter{ unit, 0.2, 0.2, 0.7, 0.2, seed = 2 }, L.RandomGaussianBlur{ seed = 3, value_range = unit },
    L.AutoContrast{ unit }, L.Flatten(), L.Dense{ 2, activation = "softmax" },
  }
  model:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy" }
  local x, y = dl.random.uniform({ 12, 6, 6, 3 }, { seed = 3 }), dl.tensor({ 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2 }, "i32")
  local history = model:fit(x, y, { epochs = 2, batch_size = 6, verbose = 0 })
  assert(history.loss[2] == history.loss[2])
end)

test("bad options", function()
  raises({ "dl[E_ARGUMENT]", "factor", "from 1 to 8" }, L.RandomPosterization, { 9 })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomPosterization, { 2.5 })
  raises({ "dl[E_ARGUMENT]", "kernel_size", "odd" }, L.RandomGaussianBlur, { kernel_size = 4 })
  raises({ "dl[E_ARGUMENT]", "kernel_size" }, L.RandomGaussianBlur, { kernel_size = 100001 })
  raises({ "dl[E_ARGUMENT]", "sigma" }, L.RandomGaussianBlur, { sigma = 2 })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomSharpness, { -0.5 })
  raises({ "dl[E_ARGUMENT]", "addition_factor" }, L.Solarization, { 1.5 })
  raises({ "dl[E_ARGUMENT]", "bins" }, L.Equalization, { bins = 0 })
  raises({ "dl[E_ARGUMENT]", "value_range" }, L.AutoContrast, { { 1, 1 } })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandomColorJitter, { brightness_factor = 2 })
  raises({ "dl[E_ARGUMENT]", "factor" }, L.RandAugment, { factor = 2 })
  raises({ "dl[E_SHAPE]", "3 channels" }, L.RandAugment{}, dl.ones(1, 2, 2, 1), { training = true })
  raises({ "dl[E_SHAPE]" }, L.AutoContrast{}, dl.ones(2, 2))
end)

T.finish()
