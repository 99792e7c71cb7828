-- dl.utils: what fits nowhere else.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

local utils = {}

--- Labels as rows with a single 1: to_categorical(labels, classes, { label_base = 1, dtype = "f32" })
-- classes: the largest label where it is left out.
function utils.to_categorical(labels, classes, options)
  if type(classes) == "table" then classes, options = nil, classes end
  options = arguments.options("to_categorical", options, { label_base = "integer", dtype = "string", num_classes = "integer" })
  local base = options.label_base or 1
  labels = tensor.from(labels, "labels")
  classes = classes or options.num_classes
  local shape = core.shape(labels)
  if #shape == 2 and shape[2] == 1 then labels = labels:reshape{ -1 } end
  if #core.shape(labels) ~= 1 then
    fail("SHAPE", ("to_categorical takes a list of labels, got a tensor with %d axes"):format(#shape))
  end
  local list = core.totable(labels)
  if not classes then
    classes = 0
    for _, label in ipairs(list) do classes = math.max(classes, label - base + 1) end
    classes = math.tointeger(classes)
  end
  if math.type(classes) ~= "integer" or classes < 1 then
    fail("ARGUMENT", "to_categorical: the number of classes must be a whole number above 0, got " .. kind_of(classes))
  end
  for row, label in ipairs(list) do
    local class = math.tointeger(label)
    if not class or class < base or class >= base + classes then
      fail("RANGE", ("to_categorical: label %s in row %d; labels run from %d to %d, or say label_base = %d"):format(
        tostring(label), row, base, base + classes - 1, 1 - base))
    end
    list[row] = class - base
  end
  if #list == 0 then return core.full({ 0, classes }, 0, options.dtype) end
  local rows = core.apply("one_hot", { core.tensor(list, "i32") }, { num_classes = classes })
  return options.dtype and rows:to(options.dtype) or rows
end

--- The name of a thing and nothing else, for file names.
function utils.basename(path) return (tostring(path):match "[^/]*$") end

return utils
