// Against the live server that the environment names as KURS_URL: invented prices, loopback only.
// Without a test framework, which would come from NuGet.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using Kurs.Client;
using Kurs.Client.Api;
using Kurs.Client.Client;

public static class Tests
{
    private static readonly string Url = Environment.GetEnvironmentVariable("KURS_URL");
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly (string, Action)[] All =
    {
        ("a rate is an exact decimal in a text", RateIsText),
        ("an amount is converted", AmountIsConverted),
        ("the numbers of courses are decimals with all their digits", CoursesAreDecimals),
        ("a batch names the pair that has no rate", BatchNamesFailures),
        ("an asset has a list and sources have a state", ListsAndSources),
        ("the history has pages", HistoryHasPages),
        ("a problem has a kind and names the parameter", ProblemsHaveKinds),
        ("a stream goes on after a cut with the very next event", StreamGoesOn),
        ("what waiting cannot mend ends a stream", RefusedStreamEnds),
        ("a stream ends when it is cancelled", CancelledStreamEnds),
    };

    public static int Main()
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        var failed = 0;
        foreach (var named in All)
        {
            var name = named.Item1;
            try
            {
                named.Item2();
                Console.WriteLine("ok      " + name);
            }
            catch (Exception error)
            {
                failed += 1;
                Console.WriteLine("FAILED  " + name + ": " + error);
            }
        }
        Console.WriteLine((All.Length - failed) + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    private static void RateIsText()
    {
        var rate = Rates().GetRate("BTC", "RUB", explain: true);
        Equal("BTC-RUB", rate.Pair);
        Equal(rate.Value, decimal.Parse(rate.Value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture));
        Equal("fresh", rate.State);
        True(rate.Source.StartsWith("sim:"), rate.Source);
        Equal(DateTimeKind.Utc, rate.PublishedAt.Kind);
        True(rate.Constituents.Count > 0, "explain adds the constituents");
    }

    private static void AmountIsConverted()
    {
        var rate = Rates().GetRate("BTC", "USD", amount: "2.5");
        var ratio = Number(rate.Result) / Number(rate.Value);
        True(Math.Abs(ratio - 2.5m) < 0.000000000001m, ratio.ToString());
    }

    private static void CoursesAreDecimals()
    {
        decimal value = Rates().GetCourses(direction: new List<string> { "BTC-USD" }).Courses[0].Value;
        True(value > 0, value.ToString());
    }

    private static void BatchNamesFailures()
    {
        var batch = Rates().GetRates(new List<string> { "BTC-USD,BTC-NOSUCH" });
        Equal("BTC-USD", batch.Rates.Single().Pair);
        Equal("BTC-NOSUCH", batch.Errors.Single().Pair);
    }

    private static void ListsAndSources()
    {
        True(Rates().ListRates("BTC").Rates.Any(rate => rate.Pair == "BTC-USD"), "BTC-USD is listed");
        True(new SourcesApi(Url).ListSources().Sources.Count > 0, "there are sources");
        Equal("ok", new OperationsApi(Url).Live().Status);
    }

    private static void HistoryHasPages()
    {
        var history = new HistoryApi(Url);
        var rows = Eventually(() =>
        {
            var first = history.GetHistory("BTC", "USDT", limit: 3);
            var second = history.GetHistory("BTC", "USDT", limit: 3, cursor: first.Next);
            return first.Points.Concat(second.Points).Select(point => (point.Epoch, point.Seq)).ToList();
        });
        Equal(6, rows.Distinct().Count());
    }

    private static void ProblemsHaveKinds()
    {
        var missing = Throws<ApiException>(() => Rates().GetRate("BTC", "NOSUCH"));
        Equal(404, missing.ErrorCode);
        Equal("unknown-asset", Problems.Kind(Problems.Of(missing)));
        var wrong = Throws<ApiException>(() => Rates().GetRate("BTC", "USD", amount: "much"));
        Equal("amount", Problems.Of(wrong).Errors.Single().Parameter);
    }

    private static void StreamGoesOn()
    {
        using (var cutter = new Cutter(new Uri(Url)))
        using (var limit = new CancellationTokenSource(Limit))
        {
            var stream = new RateStream(cutter.Url) { Topics = { "rate:BTC-USDT" } };
            var heard = new List<(long, long)>();
            string start = null;
            var hellos = 0;
            foreach (var told in stream.Listen(limit.Token))
            {
                True(told.Kind != "gap", "nothing was left out");
                if (told.Kind == "hello")
                {
                    hellos += 1;
                    Equal(hellos > 1, (bool)told.Data["resumed"]);
                }
                if (told.Kind != "rate")
                {
                    continue;
                }
                var rate = told.Data["rate"];
                start = start ?? (string)rate["published_at"];
                heard.Add(((long)rate["epoch"], (long)rate["seq"]));
                if (heard.Count >= 5 * hellos)
                {
                    if (hellos == 3)
                    {
                        break;
                    }
                    cutter.Cut();
                }
            }
            Equal(3, hellos);
            // What was heard is what was published, each once, in order: the history is the witness.
            Eventually(() =>
            {
                var published = Published(start);
                var first = published.IndexOf(heard[0]);
                var last = published.IndexOf(heard[heard.Count - 1]);
                True(first >= 0 && last >= 0, "not stored yet");
                True(published.Skip(first).Take(last - first + 1).SequenceEqual(heard), "each once, in order");
                return true;
            });
        }
    }

    private static List<(long, long)> Published(string start)
    {
        var rows = new List<(long, long)>();
        string cursor = null;
        do
        {
            var page = new HistoryApi(Url).GetHistory(
                "BTC", "USDT", published: true, start: start, limit: 1000, cursor: cursor);
            rows.AddRange(page.Points.Select(point => (point.Epoch, point.Seq)));
            cursor = page.Next;
        }
        while (cursor != null);
        return rows;
    }

    private static void RefusedStreamEnds()
    {
        var stream = new RateStream(Url) { Topics = { "no such topic" } };
        var refused = Throws<StreamRefusedException>(() => stream.Listen().First());
        Equal(400, refused.Status);
    }

    private static void CancelledStreamEnds()
    {
        using (var cancellation = new CancellationTokenSource())
        {
            var count = 0;
            foreach (var told in new RateStream(Url).Listen(cancellation.Token))
            {
                count += 1;
                cancellation.Cancel();
            }
            Equal(1, count);
        }
    }

    private static RatesApi Rates() => new RatesApi(Url);

    private static decimal Number(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);

    private static T Eventually<T>(Func<T> attempt)
    {
        var end = DateTime.UtcNow.AddSeconds(30);
        while (true)
        {
            try
            {
                return attempt();
            }
            catch (Exception) when (DateTime.UtcNow < end)
            {
                Thread.Sleep(100);
            }
        }
    }

    private static void True(bool holds, string what)
    {
        if (!holds)
        {
            throw new Exception("does not hold: " + what);
        }
    }

    private static void Equal<T>(T expected, T found)
    {
        True(EqualityComparer<T>.Default.Equals(expected, found), found + " is " + expected);
    }

    private static TError Throws<TError>(Action act) where TError : Exception
    {
        try
        {
            act();
        }
        catch (TError error)
        {
            return error;
        }
        throw new Exception("no " + typeof(TError).Name + " was thrown");
    }

    /// <summary>Stands between client and server, and cuts all connections on demand.</summary>
    private sealed class Cutter : IDisposable
    {
        private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly List<TcpClient> _connections = new List<TcpClient>();
        private readonly Uri _target;

        public Cutter(Uri target)
        {
            _target = target;
            _listener.Start();
            Background(Accept);
        }

        public string Url => "http://127.0.0.1:" + ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Cut()
        {
            lock (_connections)
            {
                _connections.ForEach(connection => connection.Close());
                _connections.Clear();
            }
        }

        public void Dispose()
        {
            _listener.Stop();
            Cut();
        }

        private void Accept()
        {
            while (true)
            {
                var near = _listener.AcceptTcpClient();
                var far = new TcpClient(_target.Host, _target.Port);
                lock (_connections)
                {
                    _connections.Add(near);
                    _connections.Add(far);
                }
                Background(() => near.GetStream().CopyTo(far.GetStream()));
                Background(() => far.GetStream().CopyTo(near.GetStream(), 4096));
            }
        }

        private static void Background(Action work)
        {
            var thread = new Thread(() =>
            {
                try
                {
                    work();
                }
                catch (Exception)
                {
                    // Cut, as it should be.
                }
            });
            thread.IsBackground = true;
            thread.Start();
        }
    }
}
