-- The confusion matrix: rows are the true classes, columns the predicted ones.

local core = ...
local arguments = core.use "arguments"
local tensor = core.use "tensor"
local fail = core.fail

local Confusion = {}
Confusion.__index = Confusion
Confusion.__name = "dl.ConfusionMatrix"

local function new(_, options)
  options = arguments.options("ConfusionMatrix", options, {
    names = "table", classes = "integer", num_classes = "integer", label_base = "integer",
  })
  local classes = options.classes or options.num_classes or options.names and #options.names
  if not classes or classes < 1 then fail("ARGUMENT", "ConfusionMatrix needs names = {...} or classes = n") end
  local self = setmetatable({
    names = options.names, classes = classes, label_base = options.label_base or 1, counts = {}, total = 0,
  }, Confusion)
  return self:reset()
end

function Confusion:reset()
  for row = 1, self.classes do
    self.counts[row] = {}
    for column = 1, self.classes do self.counts[row][column] = 0 end
  end
  self.total = 0
  return self
end

-- Labels as they are, or from one row of scores for each sample.
local function labels_of(self, given, what)
  local t = tensor.from(given, what)
  local shape = core.shape(t)
  if #shape == 2 and shape[2] > 1 then
    t = core.apply("argmax", { t }, { axis = -1 }):totable()
    for place, label in ipairs(t) do t[place] = label + 1 end
    return t
  end
  if #shape == 2 then t = t:reshape{ -1 } end
  if #shape > 2 or #shape == 0 then
    fail("SHAPE", ("%s of a confusion matrix must be labels or rows of scores; got %d axes"):format(what, #shape))
  end
  local labels, base = core.totable(t), self.label_base
  for place, label in ipairs(labels) do
    local class = math.tointeger(label)
    if not class or class < base or class >= base + self.classes then
      fail("RANGE", ("%s has label %s at position %d; labels run from %d to %d, or say label_base = %d"):format(what,
        tostring(label), place, base, base + self.classes - 1, 1 - base))
    end
    labels[place] = class - base + 1
  end
  return labels
end

--- Takes in true and predicted labels, or one-hot rows and scores.
function Confusion:update(y_true, y_pred)
  local truth, guess = labels_of(self, y_true, "y_true"), labels_of(self, y_pred, "y_pred")
  if #truth ~= #guess then
    fail("SHAPE", ("a confusion matrix of %d true and %d predicted labels"):format(#truth, #guess))
  end
  for place = 1, #truth do
    local row = self.counts[truth[place]]
    row[guess[place]] = row[guess[place]] + 1
  end
  self.total = self.total + #truth
  return self
end

--- Share of samples on the diagonal; 0 before any.
function Confusion:accuracy()
  local right = 0
  for class = 1, self.classes do right = right + self.counts[class][class] end
  return self.total == 0 and 0.0 or right / self.total
end

--- Share of those predicted as a class that are of it; of those of a class that were found.
function Confusion:precision(class)
  local predicted = 0
  for row = 1, self.classes do predicted = predicted + self.counts[row][class] end
  return predicted == 0 and 0.0 or self.counts[class][class] / predicted
end

function Confusion:recall(class)
  local of_it = 0
  for column = 1, self.classes do of_it = of_it + self.counts[class][column] end
  return of_it == 0 and 0.0 or self.counts[class][class] / of_it
end

--- The counts as a tensor, int64.
function Confusion:matrix() return core.tensor(self.counts, "i64") end
Confusion.result = Confusion.matrix

function Confusion:__tostring()
  local wide, names = 5, {}
  for class = 1, self.classes do
    names[class] = tostring(self.names and self.names[class] or class - 1 + self.label_base)
    wide = math.max(wide, #names[class])
  end
  local cell = math.max(5, #tostring(self.total) + 1)
  local lines = { (" "):rep(wide) .. "  predicted" }
  local head = { ("%-" .. wide .. "s"):format "true" }
  for class = 1, self.classes do head[#head + 1] = ("%" .. cell .. "s"):format(names[class]:sub(1, cell - 1)) end
  head[#head + 1] = "  recall"
  lines[2] = table.concat(head)
  for row = 1, self.classes do
    local parts = { ("%-" .. wide .. "s"):format(names[row]) }
    for column = 1, self.classes do parts[#parts + 1] = ("%" .. cell .. "d"):format(self.counts[row][column]) end
    parts[#parts + 1] = ("  %6.3f"):format(self:recall(row))
    lines[#lines + 1] = table.concat(parts)
  end
  lines[#lines + 1] = ("accuracy %.4f of %d"):format(self:accuracy(), self.total)
  return table.concat(lines, "\n")
end

return setmetatable({ name = "ConfusionMatrix" }, {
  __call = new,
  __tostring = function() return "dl.metrics.ConfusionMatrix" end,
})
