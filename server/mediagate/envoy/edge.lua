-- What a REST caller gets in place of gRPC's and Envoy's own replies: the error envelope, the status that the server
-- meant, and no header of the machinery. Replies to gRPC and gRPC-Web callers pass untouched.
-- There is no envoy_on_request, so requests cost no coroutine.

-- Status -> type, code and message of a failure that came without an envelope: one of Envoy's own, or one that the
-- server did not draw up. Whatever text such a failure has stays inside.
local PLAIN = {
  ["400"] = {"invalid_request_error", "invalid_request", "The request is not valid."},
  ["401"] = {"authentication_error", "invalid_api_key", "A valid API key is required."},
  ["403"] = {"permission_error", "permission_denied", "This is not allowed."},
  ["404"] = {"invalid_request_error", "not_found", "There is no such object."},
  ["405"] = {"invalid_request_error", "method_not_allowed", "This path does not take this method; see the header Allow."},
  ["408"] = {"invalid_request_error", "request_timeout", "The request did not arrive in time."},
  ["409"] = {"invalid_request_error", "conflict", "Another request got in the way."},
  ["413"] = {"invalid_request_error", "payload_too_large", "The body of the request is too large."},
  ["426"] = {"invalid_request_error", "http_version", "HTTP/1.1 or newer is required."},
  ["429"] = {"rate_limit_error", "rate_limited", "Too many requests."},
  ["431"] = {"invalid_request_error", "headers_too_large", "The headers of the request are too large or too many."},
  ["499"] = {"invalid_request_error", "cancelled", "The request was cancelled."},
  ["500"] = {"server_error", "internal", "The server had an error while processing your request. "
    .. "Quote the request id when you report it."},
  ["501"] = {"invalid_request_error", "unsupported", "This is not supported."},
  ["502"] = {"server_error", "interrupted", "The server went away during this request. Whether it took effect is not known."},
  ["503"] = {"server_error", "unavailable", "The service is not available at the moment."},
  ["504"] = {"server_error", "timeout", "The server did not answer in time. Whether the request took effect is not known."},
}
-- The same for content that an origin holds, where not even the next one could be asked for.
local ORIGIN_AWAY = {"server_error", "provider_unavailable", "The provider of the file's content cannot be reached. Try again later."}
local ORIGIN_FAILED = {"server_error", "provider_failed", "The provider of the file's content failed. Try again later."}
local ORIGIN_FAILURE_HEADERS = {[":status"] = true, ["openai-processing-ms"] = true}
local OVERLOADED = {"server_error", "overloaded", "The service has as much to do as it can. Try again in a moment."}
local UNKNOWN_URL = {"invalid_request_error", "unknown_url", "There is nothing at this path."}
local INVALID_JSON = {"invalid_request_error", "invalid_json", "The body of the request is not the JSON that this path takes."}

local function envelope(status, failure)
  failure = failure or PLAIN[status] or PLAIN[status < "500" and "400" or "500"]
  return '{"error":{"message":"' .. failure[3] .. '","type":"' .. failure[1] .. '","param":null,"code":"' .. failure[2] .. '"}}'
end

-- The transcoder's complaint about the caller's own JSON or query, which envoy.yaml.tmpl has put into an envelope.
local function complaint(handle)
  local body = handle:body(true)
  local text = body:getBytes(0, body:length())
  if #text > 1000 then return envelope("400", INVALID_JSON) end  -- It quotes the value, which may be the whole body.
  local field = text:match('"message":"([%a_][%w_.]*): ')
  if field then
    text = text:gsub('"param":null', '"param":"' .. field .. '"'):gsub('"code":"invalid_json"', '"code":"invalid_value"')
  end
  -- The types of the protos are nobody's business.
  text = text:gsub("type%.googleapis%.com/[%w_.]*%.", ""):gsub("TYPE_DOUBLE", "number"):gsub("TYPE_U?INT32", "whole number")
    :gsub("TYPE_STRING", "string"):gsub("TYPE_%u+%d*", "another type")
  return (text:gsub('"message":": ', '"message":"'))
end

-- A reply of Envoy's own: its status, its envelope, and whether the request may have taken effect.
local function own_reply(handle, status, edge)
  local flags, method, key, details = edge:match("^%d+ (%S*) (%S*) (%S*) (.*)$")
  if status == "400" and details:find("grpc_json_transcode_failure{INVALID_ARGUMENT}", 1, true) then
    return status, complaint(handle), false
  end
  -- UF could not connect, UH no healthy server, UO overflow: no server saw it; UAEX: none could say where content lies. Any
  -- other 503 is a broken connection.
  if status == "503" and not (flags:find("UF", 1, true) or flags:find("UH", 1, true) or flags:find("UO", 1, true)
    or flags:find("UAEX", 1, true)) then
    status = "502"
  end
  -- With an idempotency key, of which this is the first character, a call may be repeated whatever became of it.
  local unsafe = (status == "502" or status == "504") and (method == "POST" or method == "PATCH") and key == ""
  local overloaded = status == "503" and flags:find("UO", 1, true) and OVERLOADED
  return status, envelope(status, overloaded or (status == "404" and UNKNOWN_URL)), unsafe
end

local function fail(handle, headers, status, edge, head)
  local unsafe = false
  local body = headers:get("x-openai-error")
  if body then
    headers:remove("x-openai-error")
  elseif edge then
    status, body, unsafe = own_reply(handle, status, edge)
    headers = handle:headers()  -- Reading a body ends the life of what was read before.
    headers:replace(":status", status)
  else
    body = envelope(status)
  end
  if status == "503" and not headers:get("retry-after") then headers:add("retry-after", "1") end
  if not headers:get("x-should-retry") then
    local client_fault = status < "500" and status ~= "408" and status ~= "409" and status ~= "429"
    if client_fault or status == "501" or unsafe then headers:add("x-should-retry", "false") end
  end
  headers:replace("content-type", "application/json")
  headers:replace("content-length", tostring(#body))
  -- The transcoder answers a failed HEAD with a body, which breaks an HTTP/2 stream (curl exit 92).
  handle:body(true):setBytes(head and "" or body)
end

-- A reply about content from an origin. origin.lua asks the server about all that is not the content, so what else comes here
-- is Envoy's own: of a name that has just ceased to resolve.
local function fail_origin(handle, headers, status, edge)
  local others = {}
  for name, _ in pairs(headers) do
    if not ORIGIN_FAILURE_HEADERS[name] then others[#others + 1] = name end
  end
  for _, name in ipairs(others) do headers:remove(name) end
  local away = edge and status == "503"
  headers:replace(":status", away and "503" or "502")
  if away then headers:add("retry-after", "1") end
  headers:add("x-should-retry", "true")
  headers:add("content-type", "application/json")
  local body = envelope(status, away and ORIGIN_AWAY or ORIGIN_FAILED)
  headers:add("content-length", tostring(#body))
  handle:body(true):setBytes(body)
end

local function origin_reply(handle, headers, edge)
  local status = headers:get(":status")
  if edge or (status ~= "200" and status ~= "206") then return fail_origin(handle, headers, status, edge) end
  headers:remove("x-edge-origin")
  if headers:get("content-length") then return end
  local decision = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.ext_authz")
  headers:add("content-length", decision[status == "206" and "length" or "size"])
  -- A body that ends before that length must end the connection too, or an HTTP/1.1 client waits for the rest.
  handle:streamInfo():drainConnectionUponCompletion()
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local edge = headers:get("x-edge")
  if edge then
    headers:remove("x-edge")
    headers:replace("openai-processing-ms", string.format("%d", handle:timestamp() - tonumber(edge:match("^%d+"))))
  end
  if headers:get("x-edge-origin") then return origin_reply(handle, headers, edge) end
  local content_type = headers:get("content-type")
  if content_type and content_type:find("application/grpc", 1, true) == 1 then return end

  headers:remove("grpc-status")
  headers:remove("grpc-message")
  headers:remove("grpc-accept-encoding")
  local head = headers:get("x-edge-head") or (edge and edge:find(" HEAD ", 1, true))
  headers:remove("x-edge-head")
  local status = headers:get("x-http-status")
  if status then
    headers:remove("x-http-status")
    headers:replace(":status", status)
  else
    status = headers:get(":status")
  end
  if status >= "400" then return fail(handle, headers, status, edge, head) end

  local length = headers:get("x-content-length")
  if length then
    headers:remove("x-content-length")
    if status ~= "304" then headers:replace("content-length", length) end
  end
  -- HEAD with 304: the length would be that of the empty body.
  if status == "304" then headers:remove("content-length") end
end
