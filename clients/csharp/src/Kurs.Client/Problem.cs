using Kurs.Client.Client;
using Newtonsoft.Json;

namespace Kurs.Client
{
    /// <summary>What a server says when it cannot answer.</summary>
    public static class Problems
    {
        /// <summary>The problem document of an exception, or null when the answer had none.</summary>
        public static Model.Problem Of(ApiException exception)
        {
            try
            {
                return JsonConvert.DeserializeObject<Model.Problem>(exception.ErrorContent as string ?? "");
            }
            catch (JsonException)
            {
                return null;
            }
        }

        /// <summary>Kind of a problem, the same for ever: rate-expired, unknown-asset, ...</summary>
        public static string Kind(Model.Problem problem)
        {
            return problem.Type.Substring(problem.Type.LastIndexOf('#') + 1);
        }
    }
}
