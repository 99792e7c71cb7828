-- Data sets out of folders, a class in each: dl.utils.image_dataset_from_directory and text_dataset_from_directory; and
-- dl.utils.get_file.

local core = ...
local arguments = core.use "arguments"
local batches = core.use "batches"
local declared = core.use "declared"
local pictures = core.use "pictures"
local fail, kind_of = core.fail, arguments.kind_of

local folders = {}

-- ---- Files -------------------------------------------------------------------------------------------------------

-- Deeper folders are a circle of links.
local DEEPEST = 64

-- Folders below `path`, itself first.
local function walk(path, follow, found, depth)
  local entries, message, code = core.folder_list(path)
  if not entries then return nil, message, code end
  if depth > DEEPEST then return nil, ("folders in \"%s\" are more than %d deep"):format(path, DEEPEST), "E_FORMAT" end
  found[#found + 1] = { path = path, entries = entries }
  for _, entry in ipairs(entries) do
    if entry.kind == "folder" and (follow or not entry.is_link) then
      local fine, why, tag = walk(path .. "/" .. entry.name, follow, found, depth + 1)
      if not fine then return nil, why, tag end
    end
  end
  return found
end

-- Files with one of the endings in a folder and those below, in order.
local function files_in(path, endings, follow)
  local found, message, code = walk(path, follow, {}, 1)
  if not found then return nil, message, code end
  table.sort(found, function(a, b) return a.path < b.path end)
  local files = {}
  for _, folder in ipairs(found) do
    for _, entry in ipairs(folder.entries) do
      local ending = entry.name:lower():match "%.(%w+)$"
      if entry.kind == "file" and ending and endings[ending] then files[#files + 1] = folder.path .. "/" .. entry.name end
    end
  end
  return files
end

-- Names of the folders in a folder.
local function classes_of(owner, directory, wanted)
  local entries, message, code = core.folder_list(directory)
  if not entries then return nil, message, code end
  local names, known = {}, {}
  for _, entry in ipairs(entries) do
    if entry.kind == "folder" and entry.name:sub(1, 1) ~= "." then
      names[#names + 1], known[entry.name] = entry.name, true
    end
  end
  for _, name in ipairs(wanted or {}) do
    if not known[name] then
      fail("ARGUMENT", ("%s: class_names has %s, which is no folder in \"%s\"%s"):format(owner, kind_of(name), directory,
        arguments.suggestion(name, names)))
    end
  end
  return wanted or names
end

-- ---- Arguments ---------------------------------------------------------------------------------------------------

local common = {
  directory = "string", labels = "string|table|boolean", label_mode = "string|boolean", class_names = "table",
  batch_size = "integer", shuffle = "boolean", seed = "integer", validation_split = "number", subset = "string",
  follow_links = "boolean", verbose = "boolean", label_base = "integer",
}

local function read(owner, directory, options, own)
  if type(directory) == "table" then directory, options = directory.directory or directory[1], directory end
  local allowed = {}
  for name, kind in pairs(common) do allowed[name] = kind end
  for name, kind in pairs(own) do allowed[name] = kind end
  options = arguments.options(owner, options, allowed)
  if type(directory) ~= "string" or directory == "" then
    fail("ARGUMENT", ("%s takes the name of a folder, got %s"):format(owner, kind_of(directory)))
  end
  local function choose(name, choices)
    local given = options[name]
    for _, choice in ipairs(choices) do
      if given == choice then return end
    end
    fail("ARGUMENT", ("'%s' of %s must be one of %s, got %s%s"):format(name, owner, table.concat(choices, ", "), kind_of(given),
      arguments.suggestion(given, choices)))
  end
  if options.labels == nil then options.labels = "inferred" end
  if options.label_mode == nil then options.label_mode = "int" end
  if type(options.labels) == "string" then choose("labels", { "inferred" }) end
  if options.label_mode then choose("label_mode", { "int", "categorical", "binary" }) end
  if options.labels == true or options.label_mode == true then
    fail("ARGUMENT", ("'labels' and 'label_mode' of %s may be false, not true"):format(owner))
  end
  if not options.labels or not options.label_mode then options.labels, options.label_mode = false, false end
  if options.class_names and options.labels ~= "inferred" then
    fail("ARGUMENT", ("'class_names' of %s needs labels = 'inferred'"):format(owner))
  end
  options.batch_size = options.batch_size or 32
  options.label_base = options.label_base or 1
  if options.batch_size < 1 or options.label_base ~= 0 and options.label_base ~= 1 then
    fail("ARGUMENT", ("%s: batch_size must be above 0, label_base 0 or 1. Received: %d and %d"):format(owner,
      options.batch_size, options.label_base))
  end
  local split = options.validation_split
  if (split ~= nil) ~= (options.subset ~= nil) then
    fail("ARGUMENT", ("%s: validation_split and subset are given together or not at all"):format(owner))
  end
  if split then
    choose("subset", { "training", "validation", "both" })
    if not (split > 0 and split < 1) then
      fail("ARGUMENT", ("'validation_split' of %s must be between 0 and 1, got %s"):format(owner, kind_of(split)))
    end
    if options.shuffle ~= false and not options.seed then
      fail("ARGUMENT", owner .. ": a split of shuffled files needs a seed, so that its two parts have no file in common")
    end
  end
  return directory, options
end

-- ---- The data set ------------------------------------------------------------------------------------------------

local function permutation(count, seed, draw)
  return core.totable((core.apply("random_permutation", seed and { core.tensor({ seed, draw }, "i64") } or {}, { n = count })))
end

local function reordered(list, order)
  local result = {}
  for place, at in ipairs(order) do result[place] = list[at + 1] end
  return result
end

local Folder = batches.PyDataset:extend("Folder", { shuffles_itself = true })

function Folder:num_batches() return (#self.file_paths + self.batch_size - 1) // self.batch_size end

-- Labels of the files `first` to `last`.
function Folder:targets(first, last)
  if not self.labels then return nil end
  local list = table.move(self.labels, first, last, 1, {})
  if self.label_mode == "int" then
    for place, label in ipairs(list) do list[place] = label + self.label_base end
    return core.tensor(list, "i32")
  end
  if self.label_mode == "binary" then
    for place, label in ipairs(list) do list[place] = { label + 0.0 } end
    return core.tensor(list, "f32")
  end
  return (core.apply("one_hot", { core.tensor(list, "i32") }, { num_classes = #self.class_names }))
end

function Folder:get(index)
  local whole = type(index) == "number" and math.tointeger(index)
  if not whole or whole < 1 or whole > self:num_batches() then
    fail("RANGE", ("get(index): batches run from 1 to %d, got %s"):format(self:num_batches(), kind_of(index)))
  end
  local first = (whole - 1) * self.batch_size + 1
  local last, list = math.min(first + self.batch_size - 1, #self.file_paths), {}
  for place = first, last do
    local entry, message, code = self.read(self.file_paths[place])
    if entry == nil then fail((code or "E_FORMAT"):sub(3), message) end
    list[#list + 1] = entry
  end
  return self.joined(list), self:targets(first, last)
end

-- Another order for each epoch.
function Folder:on_epoch_end()
  if not self.shuffle then return end
  self.draw = self.draw + 1
  local order = permutation(#self.file_paths, self.seed, self.draw)
  self.file_paths = reordered(self.file_paths, order)
  self.labels = self.labels and reordered(self.labels, order)
end

-- Files and labels, from 0, of all classes; nil, message, code where there are none.
local function index(owner, directory, options, endings)
  local paths, labels, names = {}, {}, nil
  if options.labels == "inferred" then
    local message, code
    names, message, code = classes_of(owner, directory, options.class_names)
    if not names then return nil, message, code end
    for place, name in ipairs(names) do
      local found, why, tag = files_in(directory .. "/" .. name, endings, options.follow_links)
      if not found then return nil, why, tag end
      for _, path in ipairs(found) do paths[#paths + 1], labels[#labels + 1] = path, place - 1 end
    end
  else
    local message, code
    paths, message, code = files_in(directory, endings, options.follow_links)
    if not paths then return nil, message, code end
    if options.labels then
      if #options.labels ~= #paths then
        fail("ARGUMENT", ("%s: there are %d labels for %d files in \"%s\""):format(owner, #options.labels, #paths, directory))
      end
      local largest = -1
      for place, label in ipairs(options.labels) do
        local whole = type(label) == "number" and math.tointeger(label)
        if not whole or whole < options.label_base then
          fail("RANGE", ("%s: label %d must be a whole number of at least %d, got %s"):format(owner, place, options.label_base,
            kind_of(label)))
        end
        labels[place] = whole - options.label_base
        largest = math.max(largest, labels[place])
      end
      names = {}
      for class = 0, math.min(largest, #paths) do names[class + 1] = ("%d"):format(class + options.label_base) end
      if largest + 1 > #names then fail("RANGE", ("%s: label %d for %d files"):format(owner, largest, #paths)) end
    end
  end
  if #paths == 0 then
    local list = arguments.keys(endings)
    return nil, ("[%s] no files that end in %s in \"%s\""):format(owner, table.concat(list, ", "), directory), "E_NOT_FOUND"
  end
  if options.label_mode == "binary" and #names ~= 2 then
    fail("ARGUMENT", ("%s: label_mode 'binary' needs two classes, there are %d"):format(owner, #names))
  end
  return paths, options.labels and labels or nil, names
end

-- The data set, or the two of a split.
local function make(owner, directory, options, endings, fields)
  local paths, labels, names = index(owner, directory, options, endings)
  if not paths then return nil, labels, names end
  if options.verbose then
    print(names and ("Found %d files belonging to %d classes."):format(#paths, #names) or ("Found %d files."):format(#paths))
  end
  local shuffle = options.shuffle ~= false
  if shuffle then
    local order = permutation(#paths, options.seed, 0)
    paths, labels = reordered(paths, order), labels and reordered(labels, order)
  end
  local function part(first, last, shuffles)
    local set = {
      file_paths = table.move(paths, first, last, 1, {}), labels = labels and table.move(labels, first, last, 1, {}),
      class_names = names, batch_size = options.batch_size, label_mode = options.label_mode, label_base = options.label_base,
      shuffle = shuffles, seed = options.seed, draw = 0,
    }
    for name, value in pairs(fields) do set[name] = value end
    return Folder(set)
  end
  if not options.subset then return part(1, #paths, shuffle) end
  local held = math.floor(#paths * options.validation_split)
  if held < 1 or held >= #paths then
    fail("ARGUMENT", ("%s: validation_split %s of %d files leaves a part without any"):format(owner,
      tostring(options.validation_split), #paths))
  end
  if options.subset == "training" then return part(1, #paths - held, shuffle) end
  if options.subset == "validation" then return part(#paths - held + 1, #paths, false) end
  return part(1, #paths - held, shuffle), part(#paths - held + 1, #paths, false)
end

-- ---- Pictures ----------------------------------------------------------------------------------------------------

local picture_endings = { bmp = true, jpeg = true, jpg = true, png = true, pgm = true, ppm = true }

--- Pictures in folders, a class in each, read batch by batch: image_dataset_from_directory("flowers", { labels = "inferred",
-- label_mode = "int", class_names = , color_mode = "rgb", batch_size = 32, image_size = { 256, 256 }, shuffle = true, seed = ,
-- validation_split = , subset = , interpolation = "bilinear", follow_links = false, crop_to_aspect_ratio = false,
-- pad_to_aspect_ratio = false, data_format = , verbose = false, label_base = 1 }). Gives a data set for fit (and evaluate,
-- predict) with class_names and file_paths; with subset = "both" two of them. Pictures are float32 from 0 to 255; labels are
-- int32 from 1, with label_mode "categorical" rows with a single 1, with "binary" 0 or 1. labels = false: pictures alone.
-- Nil, message, code where there are no pictures. :load() reads all at once.
function folders.image_dataset_from_directory(directory, options)
  local owner = "image_dataset_from_directory"
  directory, options = read(owner, directory, options, {
    color_mode = "string", image_size = "table|number", interpolation = "string", crop_to_aspect_ratio = "boolean",
    pad_to_aspect_ratio = "boolean", data_format = "string",
  })
  local size = pictures.size(owner, "image_size", options.image_size or { 256, 256 })
  local form = { color_mode = options.color_mode or "rgb" }
  if form.color_mode ~= "rgb" and form.color_mode ~= "rgba" and form.color_mode ~= "grayscale" then
    fail("ARGUMENT", ("'color_mode' of %s must be 'grayscale', 'rgb' or 'rgba', got %s"):format(owner, kind_of(form.color_mode)))
  end
  local format = options.data_format or declared.data_format or "channels_last"
  if format ~= "channels_last" and format ~= "channels_first" then
    fail("ARGUMENT", ("'data_format' of %s must be 'channels_last' or 'channels_first', got %s"):format(owner, kind_of(format)))
  end
  local resize = {
    size = core.array(size), interpolation = options.interpolation or "bilinear",
    crop_to_aspect_ratio = options.crop_to_aspect_ratio, pad_to_aspect_ratio = options.pad_to_aspect_ratio,
  }
  -- What is wrong with these options shows here, not when the first batch is read.
  core.apply("resize", { core.full({ 1, 1, 1 }, 0, "f32") }, resize)
  local function open(path)
    local img, message, code = core.image_load(path, form)
    if not img then return nil, message, code end
    return (core.apply("resize", { img:to "f32" }, resize))
  end
  local function joined(list)
    local x = core.apply("stack", list, { axis = 0 })
    if format == "channels_last" then return x end
    return (core.apply("transpose", { x }, { axes = core.array{ 0, 3, 1, 2 } }))
  end
  return make(owner, directory, options, picture_endings, { read = open, joined = joined })
end

-- ---- Texts -------------------------------------------------------------------------------------------------------

--- Texts (.txt) in folders, a class in each: text_dataset_from_directory("reviews", { labels = "inferred", label_mode = "int",
-- class_names = , batch_size = 32, max_length = , shuffle = true, seed = , validation_split = , subset = ,
-- follow_links = false, verbose = false, label_base = 1 }). Batches are lists of strings, cut to max_length bytes, and labels;
-- set:map(function(texts, y) return encoded(texts), y end) makes of them what a model takes.
function folders.text_dataset_from_directory(directory, options)
  local owner = "text_dataset_from_directory"
  directory, options = read(owner, directory, options, { max_length = "integer" })
  local most = options.max_length
  if most and most < 1 then fail("ARGUMENT", ("'max_length' of %s must be above 0, got %d"):format(owner, most)) end
  local function open(path)
    local file <close>, message = io.open(path, "rb")
    if not file then return nil, message, "E_IO" end
    return file:read(most or "a") or ""
  end
  return make(owner, directory, options, { txt = true }, { read = open, joined = function(list) return list end })
end

-- ---- Files of other places ---------------------------------------------------------------------------------------

local function has(directory, name, kind)
  for _, entry in ipairs(core.folder_list(directory) or {}) do
    if entry.name == name and entry.kind == kind then return true end
  end
  return false
end

--- The path of a file in the cache: get_file("a.csv", "https://example.org/a.csv", { file_hash = , hash_algorithm = "auto",
-- cache_subdir = "datasets", cache_dir = , extract = false }). Nothing is ever downloaded: where the file is not there, or has
-- another checksum (SHA-256, or MD5 as md5_hash), the result is nil and a message that says where to put it. cache_dir: the
-- variable KERAS_HOME, or ~/.keras. extract: the folder into which the archive has been unpacked.
function folders.get_file(fname, origin, options)
  if type(fname) == "table" then fname, origin, options = fname.fname, fname.origin, fname end
  if type(origin) == "table" then origin, options = origin.origin, origin end
  options = arguments.options("get_file", options, {
    fname = "string", origin = "string", untar = "boolean", md5_hash = "string", file_hash = "string", cache_subdir = "string",
    hash_algorithm = "string", extract = "boolean", archive_format = "string", cache_dir = "string", force_download = "boolean",
  })
  if origin ~= nil and type(origin) ~= "string" then
    fail("ARGUMENT", "'origin' of get_file must be the address of a file, got " .. kind_of(origin))
  end
  if options.force_download then fail("UNSUPPORTED", "get_file does not download; fetch the file by other means") end
  local given = fname
  fname = fname or origin and origin:gsub("[?#].*$", ""):match "^%w+://[^/]+/.-([^/]+)$"
  if type(fname) ~= "string" or fname == "" or fname:find "/" or fname == "." or fname == ".." then
    fail("ARGUMENT", "get_file needs the name of a file without folders, or an origin that ends in one, got " .. kind_of(fname))
  end
  local getenv = os and os.getenv or function() end
  local home = options.cache_dir or getenv "KERAS_HOME" or (getenv "HOME" or "") .. "/.keras"
  home = home:gsub("^~", (getenv "HOME" or ""):gsub("%%", "%%%%"))
  local directory = options.cache_subdir or "datasets"
  if directory:sub(1, 1) ~= "/" then directory = home .. "/" .. directory end
  local from = origin and (" It is to be had from %s."):format(origin) or ""
  if options.extract or options.untar then
    local target = given and fname:find "%." and fname:match "^[^.]*" .. "_extracted" or fname
    if has(directory, target, "folder") then return directory .. "/" .. target end
    return nil, ("[get_file] there is no folder \"%s/%s\". Unpack the archive %s into it; nothing is downloaded.%s"):format(
      directory, target, fname, from), "E_NOT_FOUND"
  end
  local path = directory .. "/" .. fname
  if not has(directory, fname, "file") then
    return nil, ("[get_file] there is no file \"%s\". Put it there; nothing is downloaded.%s"):format(path, from), "E_NOT_FOUND"
  end
  local hash = options.file_hash or options.md5_hash
  if not hash then return path end
  local algorithm = options.file_hash and options.hash_algorithm or "auto"
  if algorithm == "auto" then algorithm = #hash == 64 and "sha256" or "md5" end
  local found, message, code = core.file_hash(path, algorithm)
  if not found then return nil, message, code end
  if found ~= hash:lower() then
    return nil, ("[get_file] \"%s\" has the %s checksum %s instead of %s: it is incomplete or another file. Replace it.%s")
      :format(path, algorithm, found, hash, from), "E_FORMAT"
  end
  return path
end

return folders
