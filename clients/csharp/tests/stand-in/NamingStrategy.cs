// Newtonsoft.Json of Debian is older than naming strategies, which the generated sources set.
// These names lie nearer to them than those of the package, and do nothing: every member of the
// generated models carries the name it has in JSON.
namespace Kurs.Client
{
    internal class DefaultContractResolver : Newtonsoft.Json.Serialization.DefaultContractResolver
    {
        public CamelCaseNamingStrategy NamingStrategy { get; set; }
    }

    internal sealed class CamelCaseNamingStrategy
    {
        public bool OverrideSpecifiedNames { get; set; }

        public bool ProcessDictionaryKeys { get; set; }
    }
}
