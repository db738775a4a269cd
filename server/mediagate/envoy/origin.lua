-- What an origin answers, before anything else sees it. All but the content that the server expects becomes a redirect to
-- where the request came from. The router follows it by itself, so the server is asked again, and is told what happened.

-- What an origin may say about content. The server says everything else.
local KEPT = {[":status"] = true, ["content-length"] = true, ["content-range"] = true, ["date"] = true}

-- Nil where the reply is the content; else its status; `damaged`, for a copy of another size than was acknowledged, which is
-- never served; or `whole`, for all of it where a range was asked for.
local function failure_of(headers, decision)
  local status, range = headers:get(":status"), decision["range"]
  if status ~= "200" and not (status == "206" and range) then return status end
  local length, encoding = headers:get("content-length"), headers:get("content-encoding")
  local wanted = status == "200" and decision["size"] or decision["length"]
  if (length and length ~= wanted) or (encoding and encoding ~= "identity") then return "damaged" end
  if status == "200" then return range and "whole" end
  if headers:get("content-range") ~= range then return "damaged" end
end

local function drop_others(headers)
  local others = {}
  for name, _ in pairs(headers) do
    if not KEPT[name] then others[#others + 1] = name end
  end
  for _, name in ipairs(others) do headers:remove(name) end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local decision = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.ext_authz")
  local failure, pause = failure_of(headers, decision), headers:get("retry-after")
  drop_others(headers)
  if headers:get(":status") == "200" then headers:remove("content-range") end
  if not failure then return end
  headers:replace(":status", "302")
  headers:add("location", "http://edge" .. decision["path"])
  headers:add("x-edge-again", decision["again"])
  headers:add("x-edge-failure", failure .. ";" .. (pause or ""))
  -- The filter for CORS runs before the server is asked, so it must find this in the request again.
  if decision["origin"] then headers:add("origin", decision["origin"]) end
end
