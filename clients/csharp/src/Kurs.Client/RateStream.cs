using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Kurs.Client
{
    /// <summary>One thing that a stream tells.</summary>
    public sealed class StreamEvent
    {
        internal StreamEvent(string kind, JObject data, string id)
        {
            Kind = kind;
            Data = data;
            Id = id;
        }

        /// <summary>hello, snapshot, rate, source, error, gap, heartbeat or bye; a later server may tell others.</summary>
        public string Kind { get; }

        /// <summary>The document. Prices and times in it are texts.</summary>
        public JObject Data { get; }

        /// <summary>The place to go on from, or null.</summary>
        public string Id { get; }
    }

    /// <summary>The server refused the stream, and waiting cannot mend it.</summary>
    public sealed class StreamRefusedException : Exception
    {
        internal StreamRefusedException(int status, string body)
            : base("the stream was refused with " + status + ": " + body)
        {
            Status = status;
            Body = body;
        }

        /// <summary>Status code of the answer.</summary>
        public int Status { get; }

        /// <summary>The problem document, as it was sent.</summary>
        public string Body { get; }
    }

    /// <summary>Rates as they change: server-sent events that go on after a cut.</summary>
    public sealed class RateStream
    {
        /// <summary>A server says something every 15 s, unless its configuration says otherwise.</summary>
        private const int HeartbeatMs = 15000;

        /// <summary>This many heartbeats may fail to come before a connection counts as dead.</summary>
        private const int HeartbeatsMissed = 3;

        private const int FirstWaitMs = 1000;
        private const int LongestWaitMs = 30000;

        /// <summary>One event may be a snapshot of 500 rates; beyond this it is no stream of kurs.</summary>
        private const int EventCharactersMax = 16 * 1024 * 1024;

        private readonly string _url;
        private readonly Random _random = new Random();
        private int _attempts;
        private int? _askedMs;

        /// <param name="url">Where the server is, such as http://127.0.0.1:8080.</param>
        public RateStream(string url)
        {
            _url = url.TrimEnd('/');
        }

        /// <summary>Key or JWT; sent as Authorization: Bearer, never in an address.</summary>
        public string ApiKey { get; set; }

        /// <summary>Pairs, such as BTC-USD.</summary>
        public IList<string> Pairs { get; } = new List<string>();

        /// <summary>Topics, such as rates or sources. Without pairs and topics: rates.</summary>
        public IList<string> Topics { get; } = new List<string>();

        /// <summary>Id of the last event that was heard; kept up to date while events are taken.</summary>
        public string Position { get; set; }

        /// <summary>
        /// Events until the caller stops taking them or cancels; waits for each. A cut is not the end:
        /// the next connection goes on where this one had ended.
        /// </summary>
        /// <exception cref="StreamRefusedException">What waiting cannot mend.</exception>
        public IEnumerable<StreamEvent> Listen(CancellationToken cancellation = default)
        {
            using (var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan })
            {
                while (!cancellation.IsCancellationRequested)
                {
                    using (var connection = new Connection(cancellation))
                    {
                        if (Open(client, connection))
                        {
                            for (var told = Next(connection); told != null; told = Next(connection))
                            {
                                yield return told;
                                if (cancellation.IsCancellationRequested)
                                {
                                    yield break;
                                }
                            }
                        }
                    }
                    cancellation.WaitHandle.WaitOne(NextWaitMs());
                }
            }
        }

        /// <summary>One connection; disposing it ends whatever waits for it.</summary>
        private sealed class Connection : IDisposable
        {
            private readonly CancellationTokenSource _cut;
            private readonly CancellationTokenRegistration _registration;
            private HttpResponseMessage _answer;

            public Connection(CancellationToken cancellation)
            {
                _cut = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                // A read that waits does not look at tokens everywhere; it does notice that its stream is closed.
                _registration = _cut.Token.Register(() => _answer?.Dispose());
                Heard();
            }

            public CancellationToken Token => _cut.Token;

            public int SilenceMs { get; set; } = HeartbeatMs * HeartbeatsMissed;

            public StreamReader Reader { get; private set; }

            public void Heard() => _cut.CancelAfter(SilenceMs);

            public void Opened(HttpResponseMessage answer)
            {
                _answer = answer;
                Reader = new StreamReader(answer.Content.ReadAsStreamAsync().Result);
            }

            public void Dispose()
            {
                _registration.Dispose();
                _answer?.Dispose();
                _cut.Dispose();
            }
        }

        /// <summary>Whether the stream has begun.</summary>
        private bool Open(HttpClient client, Connection connection)
        {
            using (var request = new HttpRequestMessage(HttpMethod.Get, Address()))
            {
                request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
                if (ApiKey != null)
                {
                    request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", ApiKey);
                }
                if (Position != null)
                {
                    request.Headers.Add("Last-Event-ID", Position);
                }
                try
                {
                    var sent = client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, connection.Token);
                    var answer = sent.GetAwaiter().GetResult();
                    if (answer.IsSuccessStatusCode)
                    {
                        connection.Opened(answer);
                        return true;
                    }
                    using (answer)
                    {
                        var status = (int)answer.StatusCode;
                        if (status < 500 && status != 408 && status != 429)
                        {
                            throw new StreamRefusedException(status, answer.Content.ReadAsStringAsync().Result);
                        }
                        Ask(answer.Headers.RetryAfter?.Delta?.TotalMilliseconds);
                        return false;
                    }
                }
                catch (Exception error) when (IsCut(error))
                {
                    return false;
                }
            }
        }

        /// <summary>The next event, or null when the connection has ended.</summary>
        private StreamEvent Next(Connection connection)
        {
            try
            {
                var told = Read(connection);
                if (told == null)
                {
                    return null;
                }
                if (told.Kind == "hello")
                {
                    _attempts = 0;
                    connection.SilenceMs = ((int?)told.Data["heartbeat_ms"] ?? HeartbeatMs) * HeartbeatsMissed;
                }
                else if (told.Kind == "bye")
                {
                    Ask((double?)told.Data["reconnect_after_ms"]);
                }
                if (!string.IsNullOrEmpty(told.Id))
                {
                    Position = told.Id;
                }
                return told;
            }
            catch (Exception error) when (IsCut(error))
            {
                return null;
            }
        }

        private StreamEvent Read(Connection connection)
        {
            var data = new List<string>();
            var characters = 0;
            string kind = "message", id = null;
            for (var line = connection.Reader.ReadLine(); line != null; line = connection.Reader.ReadLine())
            {
                connection.Heard();
                characters += line.Length;
                if (characters > EventCharactersMax)
                {
                    throw new IOException("an event of the stream is too long");
                }
                if (line.Length == 0)
                {
                    if (data.Count > 0)
                    {
                        return new StreamEvent(kind, Parse(string.Join("\n", data)), id);
                    }
                    characters = 0;
                    kind = "message";
                    id = null;
                    continue;
                }
                var colon = line.IndexOf(':');
                var field = colon < 0 ? line : line.Substring(0, colon);
                var value = colon < 0 ? "" : line.Substring(colon + 1);
                value = value.StartsWith(" ", StringComparison.Ordinal) ? value.Substring(1) : value;
                if (field == "event")
                {
                    kind = value;
                }
                else if (field == "data")
                {
                    data.Add(value);
                }
                else if (field == "id" && value.IndexOf('\0') < 0)
                {
                    id = value;
                }
                else if (field == "retry" && int.TryParse(value, out var retryMs))
                {
                    Ask(retryMs);
                }
            }
            return null;
        }

        /// <summary>Texts stay texts, times among them; numbers are decimals.</summary>
        private static JObject Parse(string text)
        {
            using (var reader = new JsonTextReader(new StringReader(text)))
            {
                reader.DateParseHandling = DateParseHandling.None;
                reader.FloatParseHandling = FloatParseHandling.Decimal;
                return JObject.Load(reader);
            }
        }

        private string Address()
        {
            var query = new[] { ("pairs", Pairs), ("topics", Topics) }
                .Where(part => part.Item2.Count > 0)
                .Select(part => part.Item1 + "=" + Uri.EscapeDataString(string.Join(",", part.Item2)));
            return (_url + "/api/v1/stream?" + string.Join("&", query)).TrimEnd('?');
        }

        private static bool IsCut(Exception error)
        {
            return error is IOException || error is HttpRequestException || error is OperationCanceledException
                || error is ObjectDisposedException || error is System.Net.WebException
                || (error is AggregateException several && several.InnerExceptions.All(IsCut));
        }

        private void Ask(double? waitMs)
        {
            if (waitMs >= 0)
            {
                _askedMs = (int)Math.Min(waitMs.Value, LongestWaitMs);
            }
        }

        /// <summary>Doubling, with full jitter, bounded; or what the server asked for.</summary>
        private int NextWaitMs()
        {
            var most = Math.Min(LongestWaitMs, FirstWaitMs << Math.Min(_attempts, 5));
            _attempts += 1;
            var asked = _askedMs;
            _askedMs = null;
            return asked ?? _random.Next(most);
        }
    }
}
