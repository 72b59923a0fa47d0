-- What Sobot posts, for wrk: `wrk -s load.lua URL -- KIND RUN START_MS USERS APART PAUSE_MS`.
--
-- RUN stands in every id, so that no two runs post the same event. START_MS is the time of the first event. The
-- ids of the USERS are APART from each other.
-- PAUSE_MS: each connection rests so long on average before it posts again (0: not at all).

local kind, run, start_ms, users, apart, pause_ms
local posts, events = 0, 0

local TEXT = "你好, 请问这款连衣裙还有 M 码吗? 我想要蓝色的, 谢谢! Do you ship to Singapore?"
-- As many pages as growth.rs has.
local PAGES, FIRST_PAGE = 20, 110661988000000
-- As many messages are posted before they repeat.
local DUPLICATED = 2000

function init(arguments)
    kind, run = arguments[1], arguments[2]
    start_ms, users = tonumber(arguments[3]), tonumber(arguments[4])
    apart, pause_ms = tonumber(arguments[5]), tonumber(arguments[6])
    if pause_ms > 0 then
        delay = function() return math.floor(-math.log(1 - math.random()) * pause_ms + 0.5) end
    end
end

local make = {}

local function event(n, what)
    -- A multiple of the golden ratio's numerator visits the users evenly and in no order.
    local user = (n * 2654435761) % users * apart
    return string.format(
        '{"sender":{"id":"24%015d"},"recipient":{"id":"%d"},"timestamp":%.0f,%s}',
        user, FIRST_PAGE + user % PAGES, start_ms + n / 10, what)
end

function make.message(n)
    return event(n, string.format(
        '"message":{"mid":"m_%s_9aXk2LQ0vYcT7wRzE4hJ_%d","text":"%s"}', run, n, TEXT))
end

function make.duplicate(n)
    return make.message(n % DUPLICATED)
end

function make.receipt(n)
    if n % 2 == 0 then
        return event(n, string.format(
            '"delivery":{"mids":["m_%s_9aXk2LQ0vYcT7wRzE4hJ_%d"],"watermark":%.0f}', run, n, start_ms + n / 10))
    end
    return event(n, string.format('"read":{"watermark":%.0f}', start_ms + n / 10))
end

function make.optin(n)
    return event(n, string.format(
        '"optin":{"type":"notification_messages","payload":"新品上架","title":"topic %d",' ..
        '"notification_messages_token":"%s%d","notification_messages_timezone":"Asia/Shanghai",' ..
        '"token_expiry_timestamp":"%.0f","user_token_status":"NOT_REFRESHED","notification_messages_status":"%s"}',
        n % 20, run, n, start_ms + 86400000, n % 5 == 0 and "STOP_NOTIFICATIONS" or "RESUME_NOTIFICATIONS"))
end

local function next_event()
    events = events + 1
    return make[kind](events)
end

local per_post = 1

function request()
    if posts == 0 and string.sub(kind, -7) == "_twenty" then
        kind, per_post = string.sub(kind, 1, -8), 20
    end
    posts = posts + 1
    local messaging = next_event()
    for _ = 2, per_post do
        messaging = messaging .. "," .. next_event()
    end
    local body = string.format(
        '{"object":"page","entry":[{"time":%.0f,"messaging":[%s]}]}', start_ms, messaging)
    return string.format(
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        wrk.path, #body, body)
end

-- One line that the caller reads; times in microseconds.
function done(summary, latency)
    local failed = summary.errors
    print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        failed.connect + failed.read + failed.write + failed.status + failed.timeout))
end
