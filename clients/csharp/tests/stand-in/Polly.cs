// The names of the package Polly that the generated sources use, for compilers without NuGet.
// Retries stay off here: nothing sets a policy. Projects that use the client take Polly itself.
using System;
using System.Threading.Tasks;

namespace Polly
{
    public enum OutcomeType
    {
        Successful,
        Failure
    }

    public sealed class PolicyResult<TResult>
    {
        public OutcomeType Outcome { get; set; }

        public TResult Result { get; set; }

        public Exception FinalException { get; set; }
    }

    public interface ISyncPolicy<TResult>
    {
        PolicyResult<TResult> ExecuteAndCapture(Func<TResult> action);
    }

    public interface IAsyncPolicy<TResult>
    {
        Task<PolicyResult<TResult>> ExecuteAndCaptureAsync(Func<Task<TResult>> action);
    }
}
