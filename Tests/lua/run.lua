-- Runs the tests of this folder: dlua Tests/lua/run.lua [pattern]

local folder = arg[0]:match "^(.*/)[^/]*$" or "./"
package.path = folder .. "?.lua;" .. package.path
local T = require "harness"
T.collecting = true

local listing = assert(io.popen(("ls '%s'"):format((folder:gsub("'", "'\\''")))))
for name in listing:lines() do
  if name:match "^test_.*%.lua$" and name:find(arg[1] or "", 1, true) then
    local passed, failed = T.passed, T.failed
    T.test(name, function() assert(loadfile(folder .. name))() end)
    T.passed = T.passed - (T.failed == failed and 1 or 0)
    print(("%-28s %d passed, %d failed"):format(name, T.passed - passed, T.failed - failed))
  end
end
listing:close()

T.collecting = false
T.finish()
