-- What a training run prints: a bar on a terminal, one line for each epoch elsewhere.

local core = ...

local progress = {}

local function duration(seconds)
  if seconds < 60 then return ("%.1fs"):format(seconds) end
  if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds // 1 % 60) end
  return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds // 1 % 60)
end

local function per_step(seconds, steps)
  local each = seconds / math.max(steps, 1)
  if each >= 1 then return ("%.1fs/step"):format(each) end
  if each >= 1e-3 then return ("%.1fms/step"):format(each * 1e3) end
  return ("%.0fus/step"):format(each * 1e6)
end

local function values(logs, names)
  local parts = {}
  for _, name in ipairs(names) do
    local value = logs[name]
    local shape = math.abs(value) >= 1e-3 and math.abs(value) < 1e5 and "%s: %.4f" or "%s: %.4e"
    if value == 0 then shape = "%s: %.4f" end
    parts[#parts + 1] = shape:format(name, value)
  end
  return table.concat(parts, " - ")
end

--- Level 0 prints nothing, 1 a bar, 2 a line for each epoch; "auto" is 1 on a terminal, 2 elsewhere, and 0 where the
-- host of the script wants silence.
function progress.level(verbose)
  if verbose == "auto" or verbose == nil then
    if core.host() then return 0 end
    return core.terminal() and 1 or 2
  end
  return verbose
end

--- A printer with methods epoch_begin, batch_end and epoch_end.
function progress.new(level)
  local self = { level = level }
  local started, shown, drawn = 0, 0, 0
  local wide = core.terminal() or 80

  local function write(text) io.write(text) end

  if not io then
    -- A sandbox without io still has print.
    write = function(text) print((text:gsub("\n$", ""))) end
  end

  local function draw(step, steps, logs, names, time_left)
    local digits = #tostring(steps)
    local head = ("%" .. digits .. "d/%d "):format(step, steps)
    local tail = ("  %s"):format(time_left)
    local shown_values = values(logs, names)
    if shown_values ~= "" then tail = tail .. " - " .. shown_values end
    local bar = math.max(10, math.min(30, wide - #head - #tail - 3))
    local full = math.floor(bar * step / math.max(steps, 1))
    local line = head .. "[" .. ("="):rep(full) .. (full < bar and ">" or "") .. ("."):rep(bar - full - 1) .. "]" .. tail
    if #line > wide - 1 then line = line:sub(1, wide - 1) end
    write("\r" .. line .. (" "):rep(math.max(0, drawn - #line)))
    drawn = #line
    if io then io.stdout:flush() end
  end

  function self.epoch_begin(epoch, epochs)
    started, shown, drawn = core.clock(), 0, 0
    if level == 1 then write(("Epoch %d/%d\n"):format(epoch, epochs)) end
  end

  --- `logs` is a function that gives the values and their names, asked only when something is drawn.
  function self.batch_end(step, steps, logs)
    if level ~= 1 or not io then return end
    local now = core.clock()
    if now - shown < 0.1 and step < steps then return end
    shown = now
    local left = (now - started) / step * (steps - step)
    draw(step, steps, logs[1](), logs[2](), "ETA " .. duration(left))
  end

  function self.epoch_end(epoch, epochs, steps, logs, names)
    local seconds = core.clock() - started
    local times = duration(seconds) .. " " .. per_step(seconds, steps)
    if level == 1 and io then
      draw(steps, steps, logs, names, times)
      write "\n"
    elseif level > 0 then
      local head = level == 1 and "" or ("Epoch %d/%d - "):format(epoch, epochs)
      write(("%s%s - %s\n"):format(head, times, values(logs, names)))
      if io then io.stdout:flush() end
    end
  end

  return self
end

return progress
