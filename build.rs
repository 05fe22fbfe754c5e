fn main() {
    #[cfg(feature = "plugin")]
    gst_plugin_version_helper::info()
}
