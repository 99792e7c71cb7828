-- dl.utils, dl.config, dl.saving: preparing data, settings, names of layer classes, pictures of models.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, near, raises = T.test, T.equal, T.near, T.raises
local utils = dl.utils

test("sequences get one length", function()
  local lists = { { 1 }, { 2, 3 }, { 4, 5, 6 } }
  equal(utils.pad_sequences(lists):totable(), { { 0, 0, 1 }, { 0, 2, 3 }, { 4, 5, 6 } })
  equal(utils.pad_sequences(lists, { maxlen = 2 }):totable(), { { 0, 1 }, { 2, 3 }, { 5, 6 } })
  equal(utils.pad_sequences(lists, { maxlen = 2, padding = "post", truncating = "post", value = 9 }):totable(),
    { { 1, 9 }, { 2, 3 }, { 4, 5 } })
  equal(utils.pad_sequences(lists).dtype, "int32")
  equal(utils.pad_sequences({}).shape, { 0, 0 })
  raises({ "dl[E_ARGUMENT]", "padding" }, utils.pad_sequences, lists, { padding = "middle" })
  raises("dl[E_ARGUMENT]", utils.pad_sequences, { 1, 2 })
  raises("dl[E_ARGUMENT]", utils.pad_sequences, lists, { maxlen = -1 })
end)

test("vectors get length 1", function()
  near(utils.normalize(dl.tensor{ { 3, 4 }, { 0, 2 } }):totable(), { { 0.6, 0.8 }, { 0, 1 } })
  near(utils.normalize(dl.tensor{ { 3, 4 }, { 1, 0 } }, 1, 1):totable(), { { 0.75, 1 }, { 0.25, 0 } })
end)

test("data sets are split", function()
  local x, y = dl.arange(10), dl.arange(11, 20)
  local train, rest = utils.split_dataset({ x, y }, 0.8)
  equal({ train[1].shape, rest[2]:totable() }, { { 8 }, { 19, 20 } })
  local left, right = utils.split_dataset(x, { left_size = 3, right_size = 2 })
  equal({ left:totable(), right:totable() }, { { 1, 2, 3 }, { 9, 10 } })
  local a, b = utils.split_dataset(x, 5, { shuffle = true, seed = 1 })
  equal(dl.ops.concatenate(a, b):sort():totable(), x:totable())
  raises("dl[E_ARGUMENT]", utils.split_dataset, x, 11)
  raises("dl[E_ARGUMENT]", utils.split_dataset, x)
  raises("dl[E_SHAPE]", utils.split_dataset, { x, dl.arange(3) }, 0.5)
end)

test("windows of a sequence", function()
  local windows, targets = utils.timeseries_dataset_from_array(dl.arange(10), dl.arange(101, 110), 3, { sequence_stride = 2 })
  equal(windows:totable(), { { 1, 2, 3 }, { 3, 4, 5 }, { 5, 6, 7 }, { 7, 8, 9 } })
  equal(targets:totable(), { 101, 103, 105, 107 })
  local sparse = utils.timeseries_dataset_from_array(dl.arange(7), nil,
    { sequence_length = 2, sampling_rate = 3, start_index = 2 })
  equal(sparse:totable(), { { 2, 5 }, { 3, 6 }, { 4, 7 } })
  raises("dl[E_SHAPE]", utils.timeseries_dataset_from_array, dl.arange(3), nil, 4)
  raises("dl[E_ARGUMENT]", utils.timeseries_dataset_from_array, dl.arange(3), nil, 0)
end)

test("a bar averages what it shows", function()
  local bar = utils.Progbar(10, { verbose = 0 })
  bar:update(2, { { "loss", 1 } })
  bar:add(2, { { "loss", 3 } })
  equal(bar.seen, 4)
  near(bar.values().loss, 2)
  raises("dl[E_ARGUMENT]", utils.Progbar, 1.5)
  raises("dl[E_ARGUMENT]", bar.update, bar, "x")
end)

test("settings", function()
  equal({ dl.config.backend(), dl.config.floatx(), dl.config.epsilon() }, { "libdl", "float32", 1e-7 })
  dl.config.set_floatx "float32"
  raises({ "dl[E_UNSUPPORTED]", "dtype = 'f64'" }, dl.config.set_floatx, "float16")
  raises("dl[E_UNSUPPORTED]", dl.config.set_epsilon, 1e-3)
  raises("dl[E_UNSUPPORTED]", dl.config.set_backend, "jax")
  equal(dl.config.image_data_format(), "channels_last")
  dl.config.set_image_data_format "channels_first"
  local first = dl.layers.Conv2D{ filters = 2, kernel_size = 1 }
  dl.config.set_image_data_format "channels_last"
  equal(first:get_config().data_format, "channels_first")
  assert(dl.layers.Conv2D{ filters = 2, kernel_size = 1 }:get_config().data_format ~= "channels_first")
  raises("dl[E_ARGUMENT]", dl.config.set_image_data_format, "channels_middle")
end)

test("layer classes by name", function()
  local Twice = dl.layers.Layer:extend("TwiceForUtils", { call = function(_, x) return x * 2 end })
  local json = dl.Sequential{ dl.Input{ 2 }, Twice{ name = "twice" } }:to_json():gsub("TwiceForUtils", "Doubled")
  raises("dl[E_", dl.model_from_json, json)
  local y = utils.custom_object_scope({ Doubled = Twice }, function()
    assert(utils.get_custom_objects().Doubled == Twice)
    return dl.model_from_json(json):predict(dl.ones(1, 2), { verbose = 0 })
  end)
  equal(y:totable(), { { 2, 2 } })
  raises({ "dl[E_", "Doubled" }, dl.model_from_json, json)
  assert(dl.saving.register_keras_serializable(Twice, "Doubled") == Twice)
  equal(dl.saving.get_registered_name(Twice), "Doubled")
  equal(dl.model_from_json(json):predict(dl.ones(1, 2), { verbose = 0 }):totable(), { { 2, 2 } })
  raises("dl[E_ARGUMENT]", utils.custom_object_scope, {}, 3)
  raises("dl[E_ARGUMENT]", utils.register_keras_serializable, Twice, 3)
end)

test("pictures of models", function()
  local x = dl.Input{ shape = { 4 }, name = "a" }
  local h = dl.layers.Dense{ units = 3, name = "d1" }(x)
  local z = dl.layers.Add{ name = "sum" }{ h, dl.layers.Dense{ units = 3, name = "d2" }(h) }
  local model = dl.Model{ inputs = x, outputs = z }
  local dot = utils.model_to_dot(model, { show_shapes = true, show_layer_names = true })
  for _, part in ipairs{ "digraph", "d1 %(Dense%)", "output: %(None, 3%)", "n1 %-> n2", "n2 %-> n3", "n2 %-> n4", "n3 %-> n4" } do
    assert(dot:match(part), part .. " is not in\n" .. dot)
  end
  assert(not dot:match "n1 %-> n3")
  local svg = utils.model_to_svg(model, { rankdir = "LR", show_layer_activations = true, show_dtype = true })
  assert(svg:match "^<svg" and svg:match "</svg>\n$")
  equal(select(2, svg:gsub("<rect", "")), 4)
  equal(select(2, svg:gsub("<line", "")), 4)
  local stack = dl.Sequential{ dl.Input{ 2 }, dl.layers.Dense(2), dl.layers.Dense(1) }
  equal(select(2, utils.model_to_dot(stack):gsub("%->", "")), 2)
  local path = os.tmpname()
  assert(utils.plot_model(model, { to_file = path .. ".dot" }))
  local file = assert(io.open(path .. ".dot"))
  assert(file:read "a":match "digraph")
  file:close()
  os.remove(path .. ".dot")
  os.remove(path)
  assert(not utils.plot_model(model, { to_file = "/nowhere/at/all.svg" }))
  raises({ "dl[E_ARGUMENT]", ".svg" }, utils.plot_model, model, { to_file = "m.png" })
  raises("dl[E_ARGUMENT]", utils.model_to_dot, model, { rankdir = "XX" })
  raises("dl[E_ARGUMENT]", utils.model_to_dot, 3)
end)

test("unknown names", function()
  raises({ "dl[E_NOT_FOUND]", "pad_sequences" }, function() return utils.pad_sequence end)
end)

T.finish()
