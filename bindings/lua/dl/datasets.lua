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

--- Pictures or texts in folders, a class in each: dl.utils.image_dataset_from_directory and text_dataset_from_directory.
function extra.image_folder(...) return core.use("folders").image_dataset_from_directory(...) end
function extra.text_folder(...) return core.use("folders").text_dataset_from_directory(...) end

--- Columns of a table as samples, one of them as y: csv("houses.csv", { target = "price", header = , delimiter = ",",
-- dtype = "f32", skip_rows = 0, missing = "error" }). target: a name, or a position from 1, or from the end with -1, which is
-- where it stands unless it is given. column_names has the names of x's columns. Nil, message, code where it cannot be read.
function extra.csv(path, options)
  options = arguments.options("csv", options, {
    target = "string|integer", header = "boolean", delimiter = "string", dtype = "string", skip_rows = "integer",
    missing = "string",
  })
  if type(path) ~= "string" then fail("ARGUMENT", "csv takes a file name, got " .. arguments.kind_of(path)) end
  local target, form = options.target or -1, {}
  for name, value in pairs(options) do
    if name ~= "target" then form[name] = value end
  end
  local x, names, code = core.csv_load(path, next(form) and form or nil)
  if not x then return nil, names, code end
  local count, place = core.shape(x)[2], math.tointeger(target)
  if place then
    place = place < 0 and count + place + 1 or place
  else
    for at, name in ipairs(names or {}) do place = name == target and at or place end
  end
  if count < 2 or not place or place < 1 or place > count then
    fail("ARGUMENT", ("'target' of csv must name one of at least two columns, got %s for %d columns%s"):format(
      arguments.kind_of(target), count, arguments.suggestion(target, names or {})))
  end
  local rest, kept = {}, {}
  for at = 1, count do
    if at ~= place then rest[#rest + 1], kept[#kept + 1] = at - 1, (names or {})[at] end
  end
  local y = core.apply("take", { x, core.tensor({ place - 1 }, "i32") }, { axis = 1 })
  local set = data.new(core.apply("take", { x, core.tensor(rest, "i32") }, { axis = 1 }), y:reshape{ -1 })
  set.column_names = kept
  return set
end

--- A data set of one's own tensors: from_tensors(x, y, class_names)
extra.from_tensors = data.new

return datasets
