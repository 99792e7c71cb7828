-- dl.datasets: data sets that are on the machine, and generated ones.

local core = ...
local arguments = core.use "arguments"
local data = core.use "data"
local declared = core.use "declared"
local fail = core.fail

-- Pictures as float32 in [0, 1].
local function prepare(x, channels)
  if core.dtype(x) == "uint8" then x = x:to "f32" / 255 end
  local shape = core.shape(x)
  if channels and #shape == 3 then x = x:reshape{ shape[1], shape[2], shape[3], 1 } end
  if channels == false and #shape == 4 and shape[4] == 1 then x = x:reshape{ shape[1], shape[2], shape[3] } end
  return x
end

-- Options of our own, beside those of the declaration.
local own = { channels = true, label_base = true }

local function load(declaration, name, ...)
  local positions, options = declared.sort(declaration, ...)
  local config = declared.configure(declaration, name, positions, options, own)
  local checked = arguments.options(name, { channels = options.channels, label_base = options.label_base },
    { channels = "boolean", label_base = "integer" })
  local base = checked.label_base or 1
  if base ~= 0 and base ~= 1 then fail("ARGUMENT", ("label_base must be 0 or 1, got %d"):format(base)) end
  local x_train, y_train, x_test, y_test, info = core.dataset_load(name, config)
  if not x_train then return nil, y_train, x_test end
  info = info or {}
  local names = info.class_names and #info.class_names > 0 and info.class_names or nil
  local function part(x, y) return data.new(prepare(x, checked.channels), y + base, names, base) end
  return data.pair(part(x_train, y_train), part(x_test, y_test), names, info.origin)
end

local extra = {}

--- A data set of a kind, by its declaration: fashion_mnist, mnist, shapes. The result has parts train and test with
-- x and y, and class_names; nil, message, code where it is not on this machine.
-- Labels are int32 and count from 1, unless label_base = 0; pictures are float32 in [0, 1], with an axis for channels if
-- channels = true: fashion_mnist{ path = folder, channels = true }
local datasets = declared.namespace("dl.datasets", "dataset", function(declaration, name)
  return declared.constructor("dl.datasets", declaration, function(...) return load(declaration, name, ...) end)
end, extra)

--- Clouds of points around random centres; one data set without parts, unless test_samples are asked for:
-- make_blobs{ samples = 1000, features = 2, classes = 3, modes = 1, spread = 0.3, seed = 1 }
function extra.make_blobs(...)
  local set, message, code = load(declared.describe("dataset", "make_blobs"), "make_blobs", ...)
  if not set then return nil, message, code end
  return #set.test.x > 0 and set or set.train
end

--- A data set of one's own tensors: from_tensors(x, y, class_names)
extra.from_tensors = data.new

return datasets
