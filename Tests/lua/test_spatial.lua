-- Layers and operations for sequences, pictures and volumes.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local L = dl.layers

local function ramp(...)
  local sizes, count = { ... }, 1
  for _, size in ipairs(sizes) do count = count * size end
  local values = {}
  for place = 1, count do values[place] = place end
  return dl.tensor(values):reshape(sizes)
end

test("pooling of sequences and volumes", function()
  near(L.MaxPooling1D()(ramp(1, 6, 1)):reshape{ 3 }:totable(), { 2, 4, 6 })
  near(L.AveragePooling1D{ 2, 1, "same" }(ramp(1, 3, 1)):reshape{ 3 }:totable(), { 1.5, 2.5, 3 })
  equal(L.MaxPool3D{ 2 }(ramp(1, 4, 4, 4, 2)).shape, { 1, 2, 2, 2, 2 })
  equal(L.AvgPool3D{ { 1, 2, 3 }, data_format = "channels_first" }(ramp(1, 2, 3, 4, 6)).shape, { 1, 2, 3, 2, 2 })
  near(L.GlobalAvgPool1D()(ramp(1, 3, 2)):totable(), { { 3, 4 } })
  equal(L.GlobalMaxPooling3D{ keepdims = true }(ramp(1, 2, 2, 2, 3)):totable(), { { { { { 22, 23, 24 } } } } })
  near(L.AdaptiveMaxPooling1D{ 2 }(ramp(1, 5, 1)):reshape{ 2 }:totable(), { 3, 5 })
  near(L.AdaptiveAveragePooling2D{ 2 }(ramp(1, 3, 3, 1)):reshape{ 2, 2 }:totable(), { { 3, 4 }, { 6, 7 } })
end)

test("a global mean of windows nobody may see is refused", function()
  raises({ "GlobalAveragePooling1D", "empty" }, L.GlobalAveragePooling1D(), dl.zeros(1, 0, 2))
  raises({ "dl[E_SHAPE]", "MaxPooling1D", "three axes", "(2, 3)" }, L.MaxPooling1D(), dl.ones(2, 3))
  raises({ "dl[E_", "max_pool1d", "window" }, L.MaxPooling1D{ 4 }, dl.ones(1, 3, 1))
  raises({ "dl[E_ARGUMENT]", "pool_size" }, L.MaxPooling3D, { { 1, 2 } })
  raises({ "dl[E_ARGUMENT]" }, L.MaxPooling1D, { 0 })
  raises({ "dl[E_" }, L.MaxPooling1D, { math.maxinteger })
  raises({ "dl[E_" }, L.MaxPooling1D{ (1 << 31) - 1 }, dl.ones(1, 3, 1))
  raises({ "dl[E_" }, L.AveragePooling3D, { 2, strides = math.maxinteger })
  raises({ "did you mean 'same'" }, L.AveragePooling1D, { 2, padding = "sam" })
  raises({ "dl[E_" }, L.AdaptiveAveragePooling1D{ (1 << 31) - 1 }, dl.ones(1, 3, 1))
  raises({ "dl[E_ARGUMENT]", "output_size" }, L.AdaptiveMaxPooling3D, { { 1, 2 } })
end)

test("transposed convolution", function()
  local layer = L.Conv1DTranspose{ 1, 2, strides = 2, kernel_initializer = "ones" }
  near(layer(ramp(1, 3, 1)):reshape{ 6 }:totable(), { 1, 1, 2, 2, 3, 3 })
  equal(layer.kernel.shape, { 2, 1, 1 })
  equal(L.Conv2DTranspose{ 5, 3, strides = 2, padding = "same" }(dl.ones(1, 4, 4, 2)).shape, { 1, 8, 8, 5 })
  equal(L.Convolution3DTranspose{ 2, 3, strides = 2, output_padding = 1 }(dl.ones(1, 2, 2, 2, 1)).shape, { 1, 6, 6, 6, 2 })
  raises({ "dl[E_ARGUMENT]", "output_padding" }, L.Conv2DTranspose, { 2, 3, output_padding = 1 })
  raises({ "exclude each other" }, L.Conv1DTranspose, { 2, 3, strides = 2, dilation_rate = 2 })
  raises({ "dl[E_SHAPE]", "four axes" }, L.Conv2DTranspose{ 2, 3 }, dl.ones(2, 3))
  raises({ "dl[E_SHAPE]", "channels" }, layer, dl.ones(1, 3, 2))
  raises({ "dl[E_" }, L.Conv3DTranspose{ 2, 1 << 20 }, dl.ones(1, 2, 2, 2, 1))
  raises({ "dl[E_" }, L.Conv1DTranspose{ 2, 3, strides = (1 << 31) - 1 }, dl.ones(1, 1 << 10, 1))
end)

test("separable and depthwise convolution", function()
  local layer = L.SeparableConv2D{ 4, 3, depth_multiplier = 2 }
  equal(layer(dl.ones(1, 5, 5, 3)).shape, { 1, 3, 3, 4 })
  equal(#layer.weights, 3)
  equal(layer.weights[1].shape, { 3, 3, 3, 2 })
  equal(layer.weights[2].shape, { 1, 1, 6, 4 })
  equal(L.SeparableConvolution1D{ 2, 3, padding = "same" }(dl.ones(1, 5, 3)).shape, { 1, 5, 2 })
  near(L.DepthwiseConv1D{ 2, depthwise_initializer = "ones" }(ramp(1, 3, 1)):reshape{ 2 }:totable(), { 3, 5 })
  raises({ "dl[E_LIMIT]", "too many channels" }, L.DepthwiseConv1D{ 2, depth_multiplier = (1 << 31) - 1 }, dl.ones(1, 3, 2))
  raises({ "dl[E_SHAPE]" }, L.SeparableConv1D{ 2, 3 }, dl.ones(1, 2, 3, 4))
end)

test("larger, smaller, bordered", function()
  near(L.UpSampling1D()(ramp(1, 2, 1)):reshape{ 4 }:totable(), { 1, 1, 2, 2 })
  near(L.UpSampling2D{ 2, interpolation = "bilinear" }(ramp(1, 1, 2, 1)):reshape{ 2, 4 }:totable(),
    { { 1, 1.25, 1.75, 2 }, { 1, 1.25, 1.75, 2 } })
  equal(L.UpSampling3D{ { 1, 2, 3 }, data_format = "channels_first" }(ramp(1, 2, 2, 2, 2)).shape, { 1, 2, 2, 4, 6 })
  near(L.Cropping1D()(ramp(1, 4, 1)):reshape{ 2 }:totable(), { 2, 3 })
  equal(L.Cropping2D{ { { 1, 0 }, { 0, 2 } } }(ramp(1, 4, 4, 1)):reshape{ 3, 2 }:totable(), { { 5, 6 }, { 9, 10 }, { 13, 14 } })
  equal(L.Cropping3D()(ramp(1, 4, 4, 3, 1)).shape, { 1, 2, 2, 1, 1 })
  equal(L.ZeroPadding1D{ { 1, 2 } }(ramp(1, 2, 1)):reshape{ 5 }:totable(), { 0, 1, 2, 0, 0 })
  equal(L.ZeroPadding3D{ 1, data_format = "channels_first" }(ramp(1, 2, 1, 2, 3)).shape, { 1, 2, 3, 4, 5 })
  equal(L.Resizing{ 2, 3 }(ramp(4, 4, 1)).shape, { 2, 3, 1 })
  equal(L.Resizing{ 2, 3 }(dl.ones{ 1, 4, 4, 3 }:to "u8").dtype, "float32")
  equal(L.CenterCrop{ 2, 2 }(ramp(1, 4, 4, 1)):reshape{ 2, 2 }:totable(), { { 6, 7 }, { 10, 11 } })
  raises({ "dl[E_SHAPE]", "nothing is left" }, L.Cropping1D{ 2 }, dl.ones(1, 4, 1))
  raises({ "dl[E_ARGUMENT]", "cropping" }, L.Cropping2D, { { 1, -1 } })
  raises({ "dl[E_ARGUMENT]", "padding" }, L.ZeroPadding1D, { "x" })
  raises({ "dl[E_" }, L.ZeroPadding3D{ (1 << 31) - 1 }, dl.ones(1, 2, 2, 2, 1))
  raises({ "dl[E_" }, L.UpSampling2D{ (1 << 31) - 1 }, dl.ones(1, 2, 2, 1))
  raises({ "dl[E_" }, L.UpSampling3D{ 1 << 22 }, dl.ones(1, 2, 2, 2, 1))
  raises({ "exclude each other" }, L.Resizing, { 2, 2, crop_to_aspect_ratio = true, pad_to_aspect_ratio = true })
  raises({ "dl[E_" }, L.Resizing{ (1 << 31) - 1, 2 }, dl.ones(1, 2, 2, 1))
  raises({ "dl[E_SHAPE]" }, L.CenterCrop{ 2, 2 }, dl.ones(2, 2))
  raises({ "did you mean 'bilinear'" }, L.Resizing, { 2, 2, interpolation = "biliner" })
end)

test("maxima go back to where they were", function()
  local x = dl.tensor{ 1, 5, 2, 3, 4, 0, 9, 8 }:reshape{ 1, 2, 4, 1 }
  local pooled = L.MaxPooling2D()(x)
  near(L.MaxUnpooling2D(){ pooled, x }:reshape{ 2, 4 }:totable(), { { 0, 5, 0, 0 }, { 0, 0, 9, 0 } })
  raises({ "dl[E_" }, L.MaxUnpooling2D(), { x, x })
  raises({ "2 inputs" }, L.MaxUnpooling2D(), x)
end)

test("in models, with axes of unknown size", function()
  local x = L.Input{ shape = { dl.None, dl.None, 3 } }
  equal(L.Resizing{ 8, 8 }(x).shape, { false, 8, 8, 3 })
  equal(L.UpSampling2D()(x).shape, { false, false, false, 3 })
  equal(L.AdaptiveAveragePooling2D{ 2 }(x).shape, { false, 2, 2, 3 })
  equal(L.RandomCrop{ 4, 5 }(x).shape, { false, 4, 5, 3 })
  equal(L.RandomRotation{ 0.1 }(x).shape, { false, false, false, 3 })
end)

test("configurations make equal layers", function()
  for _, layer in ipairs{
    L.MaxPooling1D{ 3 }, L.AveragePooling3D(), L.GlobalMaxPooling1D{ keepdims = true }, L.AdaptiveMaxPooling2D{ { 2, 3 } },
    L.Conv1DTranspose{ 2, 3, output_padding = 1, strides = 2 }, L.Conv3DTranspose{ 2, 3 }, L.SeparableConv2D{ 2, 3 },
    L.DepthwiseConv1D{ 3 }, L.UpSampling2D{ 3, interpolation = "bicubic" }, L.Cropping3D(), L.ZeroPadding1D{ { 1, 2 } },
    L.Resizing{ 2, 3 }, L.CenterCrop{ 2, 3 }, L.RandomZoom{ { -0.2, 0.1 }, seed = 3 }, L.CutMix(),
    L.RandomErasing{ fill_value = 1 },
  } do
    local copy = L.from_json(layer:to_json())
    equal(copy:get_config(), layer:get_config())
    equal(copy.class_name, layer.class_name)
  end
end)

test("operations on pictures", function()
  local image = dl.ops.image
  equal(image.resize(ramp(4, 4, 1), { size = { 2, 3 } }).shape, { 2, 3, 1 })
  local part = { top_cropping = 1, left_cropping = 0, target_height = 1, right_cropping = 2 }
  equal(image.crop_images(ramp(4, 4, 1), part):totable(), { { { 5 }, { 6 } } })
  equal(image.pad_images(ramp(1, 1, 1), { top_padding = 1, left_padding = 0, bottom_padding = 0, target_width = 2 }):totable(),
    { { { 0 }, { 0 } }, { { 1 }, { 0 } } })
  equal(image.extract_patches(ramp(4, 4, 1), { size = 2 }):totable()[2][1], { 9, 10, 13, 14 })
  near(image.rgb_to_grayscale(dl.tensor{ { { 1, 1, 1 } } }):totable(), { { { 0.9999 } } })
  near(image.hsv_to_rgb(image.rgb_to_hsv(dl.tensor{ { { 0.2, 0.5, 0.3 } } })):totable(), { { { 0.2, 0.5, 0.3 } } })
  near(image.gaussian_blur(dl.ones(3, 3, 1)):totable()[2][2], { 1 })
  local shift = dl.tensor{ 1, 0, 1, 0, 1, 0, 0, 0 }
  equal(image.affine_transform(ramp(1, 3, 1), shift):totable(), { { { 2 }, { 3 }, { 0 } } })
  -- Positions count from 1: the first element of the second row.
  near(image.map_coordinates(ramp(2, 3), dl.tensor{ { 2, 1.5 }, { 1, 2 } }):totable(), { 4, 3.5 })
  raises({ "there is no dl.ops.image.resiz", "did you mean 'resize'" }, function() return image.resiz end)
  raises({ "dl[E_SHAPE]", "3 channels" }, image.rgb_to_hsv, dl.ones(2, 2, 2))
  raises({ "dl[E_SHAPE]", "8 numbers" }, image.affine_transform, dl.ones(2, 2, 2), dl.ones(3))
  raises({ "exactly two" }, image.crop_images, dl.ones(2, 2, 2), { top_cropping = 1 })
  raises({ "dl[E_" }, image.crop_images, dl.ones(2, 2, 2),
    { top_cropping = 2, bottom_cropping = 1, target_width = 1, left_cropping = 0 })
  raises({ "dl[E_" }, image.resize, dl.ones(2, 2, 2), { size = { math.maxinteger, 1 } })
  raises({ "dl[E_" }, image.extract_patches, dl.ones(2, 2, 2), { size = 3 })
  raises({ "dl[E_ARGUMENT]", "sigma" }, image.gaussian_blur, dl.ones(2, 2, 2), { sigma = 0 })
  raises({ "dl[E_", "coordinates" }, image.map_coordinates, dl.ones(2, 2), dl.ones(3, 2))
  equal(image.map_coordinates(ramp(2, 2), dl.tensor{ { 0 / 0, math.huge }, { 1, 1 } }):totable(), { 0, 0 })
end)

test("a connection table", function()
  local layer = L.Conv2D{ 3, 1, connection_table = { { 1, 0, 1 }, { 0, 1, 1 } }, kernel_initializer = "ones" }
  near(layer(dl.tensor{ 2, 3 }:reshape{ 1, 1, 1, 2 }):reshape{ 3 }:totable(), { 2, 3, 5 })
  equal(layer.kernel.shape, { 1, 1, 4 })
  equal(layer:count_params(), 7)
  layer:set_weights{ dl.tensor{ 1, 2, 3, 4 }:reshape{ 1, 1, 4 }, dl.zeros(3) }
  near(layer(dl.tensor{ 2, 3 }:reshape{ 1, 1, 1, 2 }):reshape{ 3 }:totable(), { 2, 9, 16 })
  equal(L.from_json(layer:to_json()):get_config(), layer:get_config())
  assert(L.Conv2D{ 3, 1 }:get_config().connection_table == nil)
  raises({ "dl[E_ARGUMENT]", "connection_table", "3 numbers" }, L.Conv2D, { 3, 1, connection_table = { { 1, 0 } } })
  raises({ "dl[E_ARGUMENT]", "every filter" }, L.Conv2D, { 2, 1, connection_table = { { 1, 0 } } })
  raises({ "dl[E_ARGUMENT]", "groups" }, L.Conv2D, { 2, 1, groups = 2, connection_table = { { 1, 0 }, { 0, 1 } } })
  raises({ "dl[E_SHAPE]", "2 rows" }, L.Conv2D{ 2, 1, connection_table = { { 1, 0 }, { 0, 1 } } }, dl.ones(1, 2, 2, 3))
  raises({ "dl[E_ARGUMENT]" }, L.Conv2D, { 2, 1, connection_table = "x" })
end)

test("layers of LeNet-5", function()
  local pool = L.ScaledSubsampling{ activation = "linear" }
  near(pool(ramp(1, 2, 2, 1)):item(), 2.5)
  pool:set_weights{ dl.tensor{ 2 }, dl.tensor{ 1 } }
  near(pool(ramp(1, 2, 2, 1)):item(), 21)
  local layer = L.RBFOutput{ 2, centers = { { 1, -1 }, { 0, 2 } } }
  near(layer(dl.tensor{ { 1, 1 } }):totable(), { { 4, 2 } })
  equal(#layer.trainable_weights, 0)
  near(L.RBFOutput{ 1, centers = { { 3 } }, negated = true }(dl.tensor{ { 1 } }):item(), -4)
  near(L.RBFOutput{ 4, seed = 1 }(dl.zeros(1, 9)):totable(), { { 9, 9, 9, 9 } })
  raises({ "dl[E_ARGUMENT]", "centers" }, L.RBFOutput, { 2, centers = { { 1 } } })
  raises({ "dl[E_ARGUMENT]", "centers" }, L.RBFOutput, { 1, centers = { {} } })
  raises({ "dl[E_SHAPE]", "2 features" }, layer, dl.ones(1, 3))
  raises({ "dl[E_" }, L.RBFOutput{ (1 << 31) - 1 }, dl.ones(1, 1 << 12))
  raises({ "dl[E_SHAPE]" }, pool, dl.ones(1, 2, 2, 3))
end)

test("LeNet-5 as printed", function()
  local model = dl.applications.LeNet5{ style = "paper" }
  local learned = 0
  for _, weight in ipairs(model.trainable_weights) do learned = learned + #weight:reshape(-1) end
  equal(learned, 60000)
  equal(dl.applications.LeNet5{ style = "paper", input_shape = { 32, 32, 1 } }:count_params(), 60840)
  model:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy" }
  local x, y = (ramp(4, 28, 28, 1):sqrt() * 3):sin(), dl.tensor({ 1, 2, 3, 4 }, "i32")
  local before = model:evaluate(x, y, { verbose = 0 })
  model:fit(x, y, { epochs = 10, verbose = 0 })
  local after = model:evaluate(x, y, { verbose = 0 })
  assert((type(after) == "table" and after.loss or after) < (type(before) == "table" and before.loss or before))
  near(model:predict(x):sum(2):totable(), { 1, 1, 1, 1 })
end)

test("what goes into networks and comes out", function()
  local A = dl.applications
  local x = dl.tensor({ 255, 0, 51 }, "u8"):reshape{ 1, 1, 1, 3 }
  near(A.preprocess_input(x):reshape{ 3 }:totable(), { 51 - 103.939, -116.779, 255 - 123.68 })
  near(A.preprocess_input(x, { mode = "tf" }):reshape{ 3 }:totable(), { 1, -1, -0.6 })
  near(A.preprocess_input(x:reshape{ 3, 1, 1 }, { mode = "torch", data_format = "channels_first" }):reshape{ 3 }:totable(),
    { (1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225 })
  equal(A.decode_predictions(dl.tensor{ { 0.25, 0.5, 0.125 } }, { top = 2, class_names = { "a", "b", "c" } }),
    { { { class = 2, name = "b", score = 0.5 }, { class = 1, name = "a", score = 0.25 } } })
  equal(A.decode_predictions(dl.tensor{ { 0 / 0, 1 } })[1][1].class, 2)
  raises({ "dl[E_ARGUMENT]", "mode" }, A.preprocess_input, x, { mode = "cafe" })
  raises({ "dl[E_SHAPE]" }, A.preprocess_input, dl.ones(2, 2))
  raises({ "dl[E_ARGUMENT]", "class_names" }, A.decode_predictions, dl.ones(1, 2), { class_names = { "a" } })
  raises({ "dl[E_ARGUMENT]" }, A.decode_predictions, dl.ones(2))
end)

test("steps that do not count", function()
  local x = dl.ops.with_mask(dl.tensor{ { { 1, 2 }, { 3, 4 }, { 0, 9 } }, { { 5, 6 }, { 0, 9 }, { 9, 0 } } },
    dl.tensor{ { 1, 1, 0 }, { 1, 0, 0 } }:to "bool")
  near(L.GlobalAveragePooling1D()(x):totable(), { { 2, 3 }, { 5, 6 } })
  equal(L.GlobalAveragePooling1D{ keepdims = true }(x):totable(), { { { 2, 3 } }, { { 5, 6 } } })
end)

T.finish()
