/* Stylizes a source and fades to another style every second.
 *
 * cc switch_styles.c -o switch_styles $(pkg-config --cflags --libs gstreamer-1.0)
 * ./switch_styles ["LAUNCH LINE OF THE SOURCE" ["OF THE SINK"]]
 */
#include <gst/gst.h>

static const gchar *STYLES[] = { "starry-night", "the-scream", "udnie:0.5,the-kiss:0.5", "van-gogh" };

static gboolean
next_style (gpointer element)
{
  static guint next = 0;
  const gchar *style = STYLES[next++ % G_N_ELEMENTS (STYLES)];

  g_object_set (element, "style", style, NULL);
  g_print ("style %s\n", style);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_message (GstBus * bus, GstMessage * message, gpointer loop)
{
  GError *error = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, NULL);
      g_printerr ("%s: %s\n", GST_OBJECT_NAME (message->src), error->message);
      g_error_free (error);
      g_main_loop_quit (loop);
      break;
    case GST_MESSAGE_EOS:
      g_main_loop_quit (loop);
      break;
    case GST_MESSAGE_ELEMENT:{
      const GstStructure *structure = gst_message_get_structure (message);
      if (gst_structure_has_name (structure, "styletransfer-governor"))
        g_print ("governor: %s\n", gst_structure_get_string (structure, "step"));
      break;
    }
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char *argv[])
{
  GError *error = NULL;
  gst_init (&argc, &argv);

  gchar *line = g_strdup_printf ("%s ! videoconvert ! styletransfer name=style style-fade=500"
      " ! queue ! videoconvert ! %s", argc > 1 ? argv[1] : "autovideosrc",
      argc > 2 ? argv[2] : "autovideosink");
  GstElement *pipeline = gst_parse_launch (line, &error);
  g_free (line);
  if (error != NULL) {
    g_printerr ("%s\n", error->message);
    g_error_free (error);
    return 1;
  }

  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), "style");
  GstBus *bus = gst_element_get_bus (pipeline);
  gst_bus_add_watch (bus, on_message, loop);
  g_timeout_add_seconds (1, next_style, element);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_main_loop_run (loop);

  GstStructure *stats = NULL;
  g_object_get (element, "stats", &stats, NULL);
  gchar *text = gst_structure_to_string (stats);
  g_print ("%s\n", text);
  g_free (text);
  gst_structure_free (stats);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (element);
  gst_object_unref (pipeline);
  g_main_loop_unref (loop);
  return 0;
}
