"""The chat teacher against servers of the test's own: nothing lost, nothing paid twice, nothing sent where it must not go."""

import asyncio
import gzip
import json
import math
import signal
import socket
import subprocess
import sys
import time
from typing import ClassVar

import pandas as pd
import pytest
from chatservers import FaultyProxy, Server, listening, send, send_for_ever
from serving import transformers_serve

from radbook.core.errors import RadbookError
from radbook.core.schema import PREDICTIONS, check
from radbook.corpora import load_corpus
from radbook.corpora.sections import report_body
from radbook.student import Student
from radbook.student.base import resolve_base
from radbook.tasks import TASKS
from radbook.teachers.llm import ChatTeacher

TAUGHT = resolve_base("tiny-taught")[0]

FAULTS = [
    "429",
    "500",
    "reset",
    "cut",
    "stall",
    "error page",
    "invalid JSON",
    "wrong quote",
    "503 with a date",
    "429 with a pause of nan",
    "no completion",
    "endless",
    "none",
]


@pytest.fixture(scope="module")
def reports() -> pd.DataFrame:
    return load_corpus("synthetic", n_reports=20, seed=4)[0]


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def teach(tmp_path):
    def make(url: str, **options) -> ChatTeacher:
        return ChatTeacher(
            "rules", **{"base_url": url, "cache": tmp_path / "chat.sqlite", "timeout": 1.5, **options}
        )

    return make


def same(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    columns = ["report_id", "task", "findings", "status"]
    return one[columns].to_dict("records") == two[columns].to_dict("records")


def test_every_report_is_labeled_with_quotes_from_its_text(reports, teach):
    server = Server()
    with listening(server) as url:
        labels = teach(url).label(reports)
    check(labels, PREDICTIONS)
    assert len(labels) == 2 * len(reports) and set(labels["source"]) == {"chat:rules"}
    assert set(labels["status"]) <= {"ok", "repaired"}
    text_of = reports.set_index("report_id")["text"]
    found = labels.explode("findings").dropna(subset="findings")
    assert len(found) > 20
    assert all(
        text_of[i][f["start"] : f["end"]] == f["phrase"]
        for i, f in zip(found["report_id"], found["findings"], strict=True)
    )
    request = server.requests[0]
    assert request["temperature"] == 0 and request["max_tokens"] == 400
    assert request["response_format"]["json_schema"]["strict"]
    assert [m["role"] for m in request["messages"]] == ["system", *["user", "assistant"] * 3, "user"]


def test_a_second_run_sends_nothing_and_gives_the_same_labels(reports, teach):
    server, lines = Server(), []
    with listening(server) as url:
        first = teach(url).label(reports)
        sent = len(server.requests)
        again = teach(url)
        assert again.plan(reports).calls == 0
        second = again.label(reports, progress=lines.append)
    assert same(first, second) and len(server.requests) == sent
    assert lines[-1].endswith("all answered before, 0 s left")


def test_reports_with_the_same_words_are_asked_once(reports, teach):
    server = Server()
    twins = pd.concat([reports.head(3), reports.head(3).assign(report_id=["a", "b", "c"])])
    with listening(server) as url:
        labels = teach(url).label(twins, tasks=("choice",))
    assert len(server.requests) == 3 and len(labels) == 6
    assert labels["findings"].tolist()[:3] == labels["findings"].tolist()[3:]


def test_through_a_proxy_that_fails_in_every_way_all_labels_arrive_and_none_is_paid_twice(
    reports, teach, tmp_path
):
    server = Server()
    with listening(server) as url:
        expected = teach(url, cache=tmp_path / "other.sqlite").label(reports)
        proxy = FaultyProxy(url, FAULTS)
        with listening(proxy) as faulty:
            labels = teach(faulty).label(reports)
            assert all(proxy.dealt[fault] for fault in FAULTS)
            seen = sum(proxy.seen.values())
            again = teach(faulty).label(reports)
    assert same(labels, expected) and same(again, expected)
    assert set(proxy.delivered.values()) <= {0, 1}
    assert sum(proxy.seen.values()) == seen


def test_two_failures_in_a_row_are_survived_too(reports, teach):
    with (
        listening(Server()) as url,
        listening(FaultyProxy(url, ["500", "429"], faults_per_request=2)) as faulty,
    ):
        labels = teach(faulty).label(reports.head(5))
    assert "failed" not in set(labels["status"])


def test_the_pause_a_server_asks_for_is_kept_and_no_more_calls_run_than_allowed(reports, teach):
    class Busy(Server):
        running = most = 0
        refused: ClassVar[list[float]] = []

        def answer(self, handler, request):
            if not self.refused:
                self.refused.append(time.monotonic())
                send(handler, 429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
                return
            self.running += 1
            self.most = max(self.most, self.running)
            super().answer(handler, request)
            self.running -= 1

    server = Busy(seconds=0.05)
    with listening(server) as url:
        labels = teach(url, concurrency=1).label(reports.head(1), tasks=("choice",))
        assert time.monotonic() - server.refused[0] >= 1
        teach(url, concurrency=3).label(reports)
    assert labels["status"].tolist() == ["ok"] and 1 < server.most <= 3


@pytest.mark.parametrize("drip", [{"size": 1 << 16}, {"size": 1, "pause": 0.02}], ids=["fast", "slow"])
def test_an_answer_without_end_fails_its_row_and_is_not_waited_for(drip, reports, teach, monkeypatch):
    class Endless(Server):
        def answer(self, handler, request):
            self.requests.append(request)
            send_for_ever(handler, **drip)

    monkeypatch.setattr("radbook.teachers.llm.client._RETRIES_TO_REACH", 1)
    server, started = Endless(), time.monotonic()
    with listening(server) as url:
        labels = teach(url, timeout=0.2).label(reports.head(1), tasks=("choice",))
    assert time.monotonic() - started < 15 and len(server.requests) == 2
    assert labels["note"].str.match(r"no reply: no answer \(no end after [\d,]+ bytes\)").all()


def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked(reports, teach, monkeypatch):
    packed = gzip.compress(b" " * (16 << 20))

    class Bomb(Server):
        def answer(self, handler, request):
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            handler.send_response(200)
            handler.send_header("Content-Encoding", "gzip")
            handler.send_header("Content-Length", str(len(packed)))
            handler.end_headers()
            handler.wfile.write(packed)

    monkeypatch.setattr("radbook.teachers.llm.client._RETRIES_TO_REACH", 1)
    with listening(server := Bomb()) as url:
        labels = teach(url).label(reports.head(1), tasks=("choice",))
    assert labels["note"].tolist() == ["no reply: no answer (it is packed, which nobody asked for)"]
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("url", ["https://me:hunter2@localhost/v1", "http://127.0.0.1:1/v1?key=hunter2"])
def test_an_address_with_a_secret_is_refused_and_not_repeated(url, reports, teach):
    with pytest.raises(RadbookError, match="chat_url holds a user, a password or a query") as caught:
        teach(url).label(reports)
    assert "hunter2" not in str(caught.value)


def test_a_notebook_in_which_a_loop_runs_already_can_ask(reports, teach):
    async def cell():
        return teach(url).label(reports.head(2), tasks=("choice",))

    with listening(Server()) as url:
        assert asyncio.run(cell())["status"].isin(["ok", "repaired"]).all()


def test_a_server_without_schemas_is_asked_for_plain_lists(reports, teach):
    server = Server(takes_schema=False)
    with listening(server) as url:
        labels = teach(url, concurrency=1).label(reports.head(6))
        assert "response_format" in server.requests[0]
        assert sum("response_format" in r for r in server.requests) == 1
        sent = len(server.requests)
        again = teach(url).label(reports.head(6))
    assert len(server.requests) == sent and same(labels, again)
    assert "failed" not in set(labels["status"])
    assert labels["reply"].str.startswith("[").all()


def test_a_quote_that_stays_wrong_fails_the_row_and_is_not_kept(reports, teach):
    class Liar(Server):
        def content(self, request):
            return '{"findings": [{"category": "Edema", "quote": "florid pulmonary edema of the moon"}]}'

    server = Liar()
    with listening(server) as url:
        labels = teach(url).label(reports.head(2), tasks=("choice",))
        assert len(server.requests) == 4  # each asked once more, with the reason
        assert "the report does not say" in server.requests[-1]["messages"][-1]["content"]
        assert teach(url).plan(reports.head(2), tasks=("choice",)).calls == 2
    assert labels["status"].tolist() == ["failed"] * 2
    assert labels["note"].str.contains("florid pulmonary edema of the moon").all()
    assert labels["findings"].map(len).sum() == 0


def test_a_reply_that_was_cut_says_so_and_is_not_kept(reports, teach):
    class Cutter(Server):
        def completion(self, request, content):
            whole = super().completion(request, content[:12])
            whole["choices"][0]["finish_reason"] = "length"
            return whole

    with listening(Cutter()) as url:
        labels = teach(url).label(reports.head(3), tasks=("choice",))
        assert teach(url).plan(reports.head(3), tasks=("choice",)).calls == 3
    assert labels["note"].str.contains("raise max_new_tokens").all()


def test_empty_reports_fail_and_nothing_is_sent_for_them(teach):
    server = Server()
    texts = ["", " \n", "HISTORY: cough.", None, pd.NA]
    frame = pd.DataFrame({"report_id": list("abcde"), "text": texts, "corpus": "synthetic"})
    with listening(server) as url:
        labels = teach(url).label(frame)
    assert labels["note"].tolist() == ["empty report"] * 10 and not server.requests


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.assign(report_id=range(len(f))), r"report_id: row 0 holds 0 \(expected string\): use astype\(str\)"),
        (lambda f: f.drop(columns="report_id"), "lacks the columns report_id"),
        (lambda f: f.assign(report_id="same"), "the key report_id='same' twice"),
    ],
)
def test_a_broken_table_is_refused_before_anything_is_sent(reports, teach, spoil, message):
    server = Server()
    with listening(server) as url, pytest.raises(RadbookError, match=message):
        teach(url).label(spoil(reports))
    assert not server.requests


def test_the_plan_counts_before_any_call_and_its_limits_stop_it(reports, teach):
    server = Server()
    with listening(server) as url:
        teacher = teach(url, price_prompt=2.5, price_completion=10.0)
        plan = teacher.plan(reports)
        assert (plan.reports, plan.calls, plan.cached) == (20, 40, 0)
        assert plan.completion_tokens == 40 * 400 and plan.prompt_tokens > 40 * 100
        assert math.isclose(plan.cost, (plan.prompt_tokens * 2.5 + plan.completion_tokens * 10) / 1e6)
        assert plan.seconds > 0 and "40 calls" in str(plan)
        with pytest.raises(RadbookError, match=r"more than max_cost 0\.01: nothing was sent"):
            teach(url, price_prompt=2.5, price_completion=10.0, max_cost=0.01).label(reports)
        with pytest.raises(RadbookError, match="20 reports are more than max_reports 19: nothing was sent"):
            teach(url, max_reports=19).label(reports)
    assert not server.requests


def test_spending_stops_at_the_limit_also_when_the_estimate_was_too_low(reports, teach):
    class Wordy(Server):
        def completion(self, request, content):
            answer = super().completion(request, content)
            answer["usage"] = {"prompt_tokens": 50_000, "completion_tokens": 400, "total_tokens": 50_400}
            return answer

    with listening(Wordy()) as url:
        options = {"price_prompt": 1.0, "price_completion": 1.0, "concurrency": 1}
        most = teach(url, **options).plan(reports, tasks=("choice",)).cost
        labels = teach(url, max_cost=most * 1.01, **options).label(reports, tasks=("choice",))
    reached = labels["note"].str.contains("max_cost .* is reached")
    assert 0 < (~reached).sum() < 3 and (labels[reached]["status"] == "failed").all()


def test_what_a_server_does_not_count_is_taken_at_the_most(reports, teach):
    with listening(Server(counts_tokens=False)) as url:
        teacher = teach(url, price_prompt=1.0, price_completion=1.0, concurrency=1)
        most, lines = teacher.plan(reports.head(4)).cost, []
        teacher.label(reports.head(4), progress=lines.append)
    assert f"{most:,.2f} spent" in lines[-1]


def test_a_time_limit_ends_with_every_row_and_the_next_run_goes_on(reports, teach):
    server = Server(seconds=0.3)
    with listening(server) as url:
        started = time.monotonic()
        labels = teach(url, concurrency=2, time_limit=1.5).label(reports)
        assert time.monotonic() - started < 10
        late = labels["note"].str.contains("time limit was reached")
        assert len(labels) == 40 and 0 < late.sum() < 40 and (labels[late]["status"] == "failed").all()
        server.seconds = 0
        whole = teach(url).label(reports)
    assert "failed" not in set(whole["status"])
    assert max(server.served.values()) <= 2  # only what was in flight when time was up


WORKER = """
import sys
import pandas as pd
from radbook.teachers.llm import ChatTeacher

url, cache, table, out = sys.argv[1:]
reports = pd.read_parquet(table)
teacher = ChatTeacher("rules", base_url=url, cache=cache, concurrency=2, timeout=20)
teacher.label(reports).to_parquet(out)
"""


def start(url, tmp_path, out: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        WORKER,
        url,
        str(tmp_path / "chat.sqlite"),
        str(tmp_path / "reports.parquet"),
        str(tmp_path / out),
    ]
    return subprocess.Popen(command)


def test_after_kill_9_only_the_calls_in_flight_are_sent_again(reports, tmp_path):
    reports.to_parquet(tmp_path / "reports.parquet")
    server = Server(seconds=0.1)
    with listening(server) as url:
        process = start(url, tmp_path, "one.parquet")
        while sum(server.served.values()) < 12 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.seconds = 0
        assert start(url, tmp_path, "one.parquet").wait(120) == 0
    labels = pd.read_parquet(tmp_path / "one.parquet")
    assert len(labels) == 40 and "failed" not in set(labels["status"])
    assert len(server.served) == 40
    assert sum(server.served.values()) <= 42


def test_two_processes_share_the_file_and_pay_each_request_once(reports, tmp_path):
    reports.to_parquet(tmp_path / "reports.parquet")
    server = Server(seconds=0.05)
    with listening(server) as url:
        workers = [start(url, tmp_path, name) for name in ("one.parquet", "two.parquet")]
        assert [w.wait(120) for w in workers] == [0, 0]
    one, two = (pd.read_parquet(tmp_path / name) for name in ("one.parquet", "two.parquet"))
    assert one["reply"].tolist() == two["reply"].tolist()
    assert set(server.served.values()) == {1} and len(server.served) == 40


def test_the_key_is_sent_and_written_nowhere(reports, teach, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    server = Server()
    with listening(server) as url:
        labels = teach(url, key_variable="MY_KEY").label(reports.head(2))
    assert server.headers[0]["authorization"] == "Bearer sk-secret-123"
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"sk-secret-123" not in written and "sk-secret-123" not in labels.to_json()
    assert (tmp_path / "chat.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, r"does not accept the key \(status 401\): .*key \*\*\* is wrong"), (404, "no such model or address.*chat_model"),
     (307, "on to another address")],
)  # fmt: skip
def test_an_endpoint_that_accepts_nothing_stops_at_once_and_the_message_hides_the_key(
    status, message, reports, teach, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")

    class Refuser(Server):
        def answer(self, handler, request):
            self.requests.append(request)
            send(
                handler,
                status,
                {"error": {"message": "the key sk-secret-123 is wrong"}},
                {"Location": f"{other}/elsewhere"},
            )

    elsewhere, server = Server(), Refuser()
    with (
        listening(elsewhere) as other,
        listening(server) as url,
        pytest.raises(RadbookError, match=message) as caught,
    ):
        teach(url, concurrency=1).label(reports)
    assert "sk-secret-123" not in str(caught.value)
    assert len(server.requests) <= 2 and not elsewhere.requests


def test_a_server_that_is_not_there_is_named_soon(reports, teach):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(
        RadbookError, match=r"127\.0\.0\.1 cannot be reached: is a server running at chat_url"
    ):
        teach(closed).label(reports)


def test_one_request_that_is_refused_fails_alone(reports, teach):
    class Picky(Server):
        def answer(self, handler, request):
            if request["messages"][-1]["content"] == unwanted:
                send(handler, 400, {"error": {"message": "the prompt is too long for this model"}})
            else:
                super().answer(handler, request)

    with listening(Picky()) as url:
        teacher = teach(url)
        unwanted = report_body(reports["text"][3])
        labels = teacher.label(reports, tasks=("choice",))
    assert labels["status"].eq("failed").sum() == 1
    assert "status 400: the prompt is too long" in labels["note"][labels["status"].eq("failed")].iloc[0]


def test_models_that_know_the_token_limit_by_its_new_name_are_served(reports, teach):
    class Newer(Server):
        def answer(self, handler, request):
            if "max_tokens" in request:
                said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
                send(handler, 400, {"error": {"message": said}})
            else:
                super().answer(handler, request)

    with listening(Newer()) as url:
        labels = teach(url).label(reports.head(3))
    assert "failed" not in set(labels["status"])


def test_local_text_takes_no_detour_over_a_proxy(reports, teach, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with listening(Server()) as url:
        labels = teach(url).label(reports.head(2), tasks=("choice",))
    assert "failed" not in set(labels["status"])


def test_private_reports_go_to_no_other_machine(reports, teach):
    private = reports.assign(corpus="table")
    remote = "https://models.example.org/v1"
    with pytest.raises(RadbookError, match=r"nothing was sent.*allow_remote true.*agreement"):
        teach(remote).label(private)
    with pytest.raises(RadbookError, match="nothing was sent"):
        teach(remote, allow_remote=True).label(private)
    with pytest.raises(RadbookError, match="reports of corpus unknown are private"):
        teach(remote).label(private.drop(columns="corpus"))
    with pytest.raises(RadbookError, match="needs a key: set the environment variable OPENAI_API_KEY"):
        teach(remote, allow_remote=True, agreement="permit 7").label(private)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0: give 1 or more"),
        ({"max_cost": 1.0}, "max_cost needs prices"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"style": "long"}, "style='long' is none of short, full"),
        ({"base_url": "localhost:8000"}, "is no address of an API"),
    ],
)
def test_bad_options_are_named(options, message, reports, teach):
    with pytest.raises(RadbookError, match=message):
        teach("http://127.0.0.1:9/v1", **options).label(reports.head(1).assign(corpus="synthetic"))


def test_a_file_that_is_no_cache_is_named(teach, tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes, not a database " * 50)
    with pytest.raises(RadbookError, match=r"notes\.txt is no file of replies"):
        teach("http://127.0.0.1:9/v1", cache=tmp_path / "notes.txt")


@pytest.mark.slow
def test_a_served_model_labels_as_it_does_here_also_through_the_faulty_proxy(tmp_path):
    reports = load_corpus("synthetic", n_reports=8, style="general", seed=3)[0]
    expected = Student.untuned("tiny-taught").label(reports)
    model = {"cache": tmp_path / "chat.sqlite", "style": "short", "max_new_tokens": 150, "concurrency": 2}
    with transformers_serve(TAUGHT, tmp_path / "serve.log") as url:
        proxy = FaultyProxy(url, ["429", "none", "reset", "500"])
        with listening(proxy) as faulty:
            labels = ChatTeacher(TAUGHT, base_url=faulty, **model).label(reports)
        full = ChatTeacher(TAUGHT, base_url=url, cache=tmp_path / "full.sqlite", max_new_tokens=40).label(
            reports.head(2)
        )
    assert set(labels["source"]) == {"chat:tiny-taught"}
    assert [r.strip() for r in labels["reply"]] == [r.strip() for r in expected["reply"]]
    assert labels["findings"].tolist() == expected["findings"].tolist()
    assert set(proxy.delivered.values()) <= {0, 1}
    # This model was not made for the full prompt, but its rows arrive, each with a status.
    assert len(full) == 4 and full["status"].isin(["ok", "repaired", "failed"]).all()


def test_the_request_is_what_the_chapter_prints(teach):
    request = teach("http://127.0.0.1:9/v1").request("open", "Clear lungs.")
    assert json.loads(json.dumps(request)) == request
    assert set(TASKS) == {"choice", "open"} and request["messages"][-1]["content"] == "Clear lungs."
