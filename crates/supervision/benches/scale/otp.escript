#!/usr/bin/env escript
%%! +P 1000000
%% The same measurements with OTP's own supervisor: otp.escript static|dynamic N LATENCIES SECONDS
%% Where it takes longer than so many seconds until all who were killed are back, it says inf and measures no further.
-module(otp).
-mode(compile).
-export([main/1, init/1, start_child/1, child/1]).

main([Way, Number, Latencies, Seconds]) ->
    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    register(bench, self()),
    N = list_to_integer(Number),
    Before = memory(),
    {Started, Sup} = timed(fun() -> start(Way, N) end),
    Pids = array:from_list(news(N)),
    Memory = memory() - Before,
    say("start_us", Started / N),
    say("bytes", Memory / N),
    {Pids1, Times} = latencies(list_to_integer(Latencies), N, Pids, []),
    Sorted = lists:sort(Times),
    say("restart_p50_us", quantile(Sorted, 0.50)),
    say("restart_p99_us", quantile(Sorted, 0.99)),
    Limit = list_to_integer(Seconds) * 1000,
    Final = lists:foldl(fun(K, Known) -> kill(K, Known, Limit) end, Pids1, sizes(N)),
    N = array:size(Final),
    {Stopped, _} = timed(fun() -> stop(Sup) end),
    say("stop_ms", Stopped / 1000),
    halt(0).

sizes(N) -> lists:usort([K || K <- [1000, 10000], K < N] ++ [N]).

start("static", N) ->
    {ok, Sup} = supervisor:start_link(?MODULE, {static, N}),
    Sup;
start("dynamic", N) ->
    {ok, Sup} = supervisor:start_link(?MODULE, dynamic),
    [{ok, _} = supervisor:start_child(Sup, [I]) || I <- lists:seq(1, N)],
    Sup.

stop(Sup) ->
    unlink(Sup),
    Ref = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, process, Sup, _} -> ok end.

init({static, N}) ->
    {ok, {{one_for_one, 100000000, 1}, [spec(I, [I]) || I <- lists:seq(1, N)]}};
init(dynamic) ->
    {ok, {{simple_one_for_one, 100000000, 1}, [spec(child, [])]}}.

spec(Id, Args) -> {Id, {?MODULE, start_child, Args}, permanent, 5000, worker, [?MODULE]}.

start_child(I) -> proc_lib:start_link(?MODULE, child, [I]).

child(I) ->
    proc_lib:init_ack({ok, self()}),
    bench ! {up, I, self()},
    receive never -> ok end.

news(N) -> [receive {up, I, Pid} -> Pid end || I <- lists:seq(1, N)].

latencies(0, _, Pids, Times) -> {Pids, Times};
latencies(Left, N, Pids, Times) ->
    I = (Left * 7919) rem N,
    {Time, New} = timed(fun() ->
        exit(array:get(I, Pids), kill),
        receive {up, _, Pid} -> Pid end
    end),
    latencies(Left - 1, N, array:set(I, New, Pids), [Time | Times]).

kill(K, Pids, Limit) ->
    Timer = erlang:start_timer(Limit, self(), late),
    {Time, Back} = timed(fun() ->
        [exit(array:get(I, Pids), kill) || I <- lists:seq(0, K - 1)],
        back(K, Timer, [])
    end),
    case Back of
        late ->
            say_late(K),
            halt(0);
        _ ->
            erlang:cancel_timer(Timer),
            say(name(K), Time / 1000),
            lists:foldl(fun({I, Pid}, Known) -> array:set(I - 1, Pid, Known) end, Pids, Back)
    end.

back(0, _, Back) -> Back;
back(Left, Timer, Back) ->
    receive
        {up, I, Pid} -> back(Left - 1, Timer, [{I, Pid} | Back]);
        {timeout, Timer, late} -> late
    end.

name(K) -> "kill_" ++ integer_to_list(K) ++ "_ms".

say_late(K) -> io:format("~s inf~n", [name(K)]).

timed(Do) ->
    Begin = erlang:monotonic_time(nanosecond),
    Result = Do(),
    {(erlang:monotonic_time(nanosecond) - Begin) / 1000, Result}.

quantile(Sorted, Q) -> lists:nth(max(1, ceil(Q * length(Sorted))), Sorted).

memory() ->
    erlang:garbage_collect(),
    erlang:memory(total).

say(Key, Value) -> io:format("~s ~.3f~n", [Key, float(Value)]).
